"""Plans, segments and finished archives, as files."""
