"""Work in other threads: what is done ahead of its use, with its results in order.

Threads gain something where Python's lock is let go: decoding, numpy's loops, files.
"""
