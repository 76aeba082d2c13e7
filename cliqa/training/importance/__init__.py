"""Which weights matter: Fisher information, per-sample gradients, and quadratic penalties on them.

Used by EWC, MAS, SI and L2 in `cliqa.training.plugins`.
"""
