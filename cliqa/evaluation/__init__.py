"""Measures of quality prediction and of continual learning."""
