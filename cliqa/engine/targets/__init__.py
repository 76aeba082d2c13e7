"""The kind of labels of a stream, scores or classes, and all of the engine that depends on it.

How a run evaluates, what it records, and which measures its results have. The measures themselves
are in `cliqa.evaluation`.
"""
