"""What meets the world outside; each knows one library."""
