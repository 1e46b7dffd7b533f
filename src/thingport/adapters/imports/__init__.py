"""Files that were sent to be imported."""
