"""Data sets read from files: quality scores (`quality`), classes (`classes`) and CLEAR (`clear`).

`labels` reads label files of every format, `own` guesses and checks a user's own ones. Streams of
data sets are in `cliqa.benchmarks`, generated data in `cliqa.demo_data`.
"""
