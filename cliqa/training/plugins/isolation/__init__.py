"""Weights of its own for each experience, so that earlier ones cannot change.

The choice of an experience's weights in evaluation is in `cliqa.training.views`.
"""
