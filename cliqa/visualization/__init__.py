"""Figures drawn from the files that runs, evaluations and studies write.

Nothing here runs a model; figures that do are in `cliqa.explain`.
"""
