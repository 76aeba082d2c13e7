"""A user's own label files: what their columns and scores mean, and all that is wrong with them.

`options` turns ``--data my.csv`` into a config's data sets, `check` reads the data sets of a config
before anything slow is done. Nothing here imports torch; the data set itself is
`cliqa.datasets.quality.score_file.ScoreFile`.
"""
