"""Heads: from feature vectors to scores, logits or image-text similarities."""
