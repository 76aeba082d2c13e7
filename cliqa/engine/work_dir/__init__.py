"""A run's folder: its files, its checkpoints, its lock, and what an earlier run left in it.

Every file is written atomically. What the files of results contain is defined in
`cliqa.evaluation.records`.
"""
