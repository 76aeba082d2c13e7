"""Avalanche benchmarks built from data sets."""
