"""Compress a run or an exported file, and profile it: ``tools/compress.py``, ``profile_model.py``.

The algorithms (quantization, pruning, export) are in `cliqa.deploy`, which knows no config and no
run.
"""
