"""Picks the adapters and builds the services; knows everything, does nothing."""
