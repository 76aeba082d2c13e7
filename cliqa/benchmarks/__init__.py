"""Avalanche benchmarks built from data sets: streams of quality scores or of classes.

Label files and images are read in `cliqa.datasets`; training is in `cliqa.training`.
"""
