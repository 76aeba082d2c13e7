"""Work in other threads: what is done ahead of its use, and what is done behind its cause.

Threads gain something where Python's lock is let go: decoding, numpy's loops, files.
"""
