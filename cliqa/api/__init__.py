"""The public Python API: what ``import cliqa`` offers.

Training, loading, evaluating and reading results, as functions over the engine and `inference`.
Not here: how any of it is done, and the command lines (`commands`).
"""
