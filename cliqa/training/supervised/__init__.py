"""Strategies of this package: fine-tuning, joint and cumulative training, nearest class mean.

Avalanche's own are in `cliqa.training.avalanche_methods`; other methods are plugins.
"""
