"""The kind of labels of a stream (scores or classes), and all that depends on it."""
