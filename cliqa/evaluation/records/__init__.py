"""Files and tables of results of runs, evaluations and studies.

The measures are in `cliqa.evaluation`; nothing here runs a model.
"""
