"""Pretraining an encoder without labels: from a config's ``pretrain`` section to a checkpoint.

The losses, pairs and the loop itself are in `cliqa.pretraining`.
"""
