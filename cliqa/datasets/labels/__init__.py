"""Label files as named columns of text cells: CSV, JSON, Excel, MATLAB; and the checks on scores.

The columns of each data set are in `cliqa.datasets.quality`.
"""
