"""Catalogue files: YAML and JSON, with the line of everything in them."""
