"""Compress a run or an exported file, and profile it: ``cliqa compress``, ``cliqa profile``.

The algorithms (quantization, pruning, export) are in `cliqa.deploy`, which knows no config and no
run.
"""
