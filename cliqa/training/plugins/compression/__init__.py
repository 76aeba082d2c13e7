"""Smaller networks: channels cut between experiences, training with the rounding of a file.

The other plugins' states follow the cuts (`ContinualPlugin.cut`).
"""
