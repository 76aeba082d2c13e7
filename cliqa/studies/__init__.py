"""Several configs over several seeds, or several numbers of labels, run side by side and summed up.

Plans the runs, starts them as processes, and reads their results; the tables and intervals are
computed in `cliqa.evaluation.records`.
"""
