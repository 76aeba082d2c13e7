"""A memory of earlier samples: what is kept, and how the new batches are mixed with it.

A memory holds places in the stream, so that a resumed run reads the same samples again.
"""
