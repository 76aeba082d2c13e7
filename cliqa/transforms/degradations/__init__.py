"""Synthetic degradations, each a ladder of rising error."""
