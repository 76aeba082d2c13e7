"""Pretraining inside a continual stream."""
