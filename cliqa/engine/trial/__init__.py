"""Building all that a config describes without its data, to check it before a run.

Models are built without memory for their weights where they can be. Nothing is read, downloaded or
written; the trial with a few images of the data is `cliqa.engine.rehearsal`.
"""
