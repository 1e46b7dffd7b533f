"""Use cases and the ports they need; knows the order of things."""
