"""Pretraining as a part of a continual stream."""
