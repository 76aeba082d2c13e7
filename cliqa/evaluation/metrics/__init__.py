"""Avalanche metric plugins over the pure measures."""
