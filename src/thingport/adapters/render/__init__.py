"""From rows to CSV text, to deflate, to ZIP records."""
