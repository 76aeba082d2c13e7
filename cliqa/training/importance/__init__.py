"""Importances of weights: Fisher information, per-sample gradients, and quadratic penalties.

Used by EWC, MAS, SI and L2 in `cliqa.training.plugins`.
"""
