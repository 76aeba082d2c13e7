"""Trained models at work: predict scores, evaluate data sets, compare models, extract features.

A run's checkpoint and an exported file are used through one interface. Training is in
`cliqa.engine`; the measures are in `cliqa.evaluation`.
"""
