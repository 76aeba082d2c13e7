"""Training losses for quality scores in 0..1."""
