"""Image transforms: decoding files, pipelines of steps, crops, resizing, synthetic degradations.

Data sets are in `cliqa.datasets`; the networks' own input checks are in `cliqa.models`.
"""
