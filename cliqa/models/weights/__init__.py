"""Weights from a file into a model: what a training starts from, with an account of what fitted.

Reading a file safely is in `cliqa.utils.checkpoint`.
"""
