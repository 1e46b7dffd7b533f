"""Readings, in one DuckLake for each tenant."""
