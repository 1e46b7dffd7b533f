"""The time, and new ids."""
