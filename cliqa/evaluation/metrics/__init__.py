"""Metric plugins for Avalanche: the measures of `cliqa.evaluation` while a stream is learnt.

Avalanche's own metrics are found by their names too. The results of a run are not computed here,
but from whole test sets in `cliqa.evaluation`.
"""
