"""Several configs over several seeds, or two over several numbers of labels, run and summarised.

Plans the runs, starts them as processes, and reads their results; the tables and intervals are
computed in `cliqa.evaluation.records`.
"""
