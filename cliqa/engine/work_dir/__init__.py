"""A run's folder: its files, checkpoints and lock, and the files of earlier runs.

Every file is written atomically. What the files of results contain is defined in
`cliqa.evaluation.records`.
"""
