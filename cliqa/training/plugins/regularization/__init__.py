"""Penalties on the change of weights, by how much earlier experiences depend on them.

What they share is in `cliqa.training.importance`.
"""
