"""The ways in; each knows one framework."""
