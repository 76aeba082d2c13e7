"""What ``tools/compress.py`` and ``tools/profile_model.py`` do with a run or an exported file.

The algorithms (quantization, pruning, export) are in `cliqa.deploy`, which knows no config and no
run.
"""
