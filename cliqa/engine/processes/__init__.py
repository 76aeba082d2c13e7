"""A run in several processes: what the main one does, and what the others do instead.

The main process is a `cliqa.engine.run.Run`, as a run of one process is.
"""
