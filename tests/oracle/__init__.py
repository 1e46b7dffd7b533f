"""Naive models of the rules, written from their words and not from the code."""
