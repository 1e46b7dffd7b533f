"""Where chunks are rendered."""
