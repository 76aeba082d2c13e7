"""CLEAR (Lin et al., NeurIPS 2021): images of the same classes in buckets of time."""
