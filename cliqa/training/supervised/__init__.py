"""Strategies: one a file."""
