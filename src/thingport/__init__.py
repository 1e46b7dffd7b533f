"""Thingport: lets the owners of connected products take their data home."""
