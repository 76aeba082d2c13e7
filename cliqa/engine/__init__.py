"""From a config to a finished run: its checks, its objects, its training and its records.

`train.py` and `pretrain/run.py` are what ``cliqa train`` calls. The training loop itself is in
`cliqa.training`, measures and tables in `cliqa.evaluation`, tools on trained models in
`cliqa.inference`.
"""
