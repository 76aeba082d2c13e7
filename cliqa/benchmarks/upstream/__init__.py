"""Avalanche's own benchmarks as streams of this package, by their names or a dotted path.

`functions` makes a scenario of a function that returns a benchmark, `stream` maps what it returns,
and `offline` keeps it from downloading data unasked.
"""
