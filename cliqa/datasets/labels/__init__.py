"""Label files as named columns of text cells: CSV, JSON, Excel, MATLAB; and the checks on scores.

Which columns a data set needs is said in `cliqa.datasets.quality`.
"""
