"""Heads that turn features into a score."""
