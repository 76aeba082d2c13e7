"""Results as files and tables: what a run or an evaluation has measured.

The measures are in `cliqa.evaluation`; nothing here sees a model.
"""
