"""Loaders: batches of images, of chunks, of patches, of features.

The order of the samples, and what is drawn at random for each of them, depend on torch's global
generator alone, not on the number of worker processes.
"""
