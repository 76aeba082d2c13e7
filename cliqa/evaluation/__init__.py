"""Measures of quality prediction and of continual learning.

Plain functions on arrays are here, Avalanche's metric plugins in `metrics`, files and tables of
results in `records`. Running a model over data is in `cliqa.inference`.
"""
