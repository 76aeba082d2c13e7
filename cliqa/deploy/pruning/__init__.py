"""Structured pruning: which channels can be removed, and removing them.

Needs the optional package torch-pruning, which is imported when used.
"""
