"""Small data sets that the package makes itself, in the official layouts of real ones.

Used by the demos and the tests; real data sets are read in `cliqa.datasets`.
"""
