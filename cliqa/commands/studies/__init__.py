"""Commands that train many runs: studies over seeds, searches, comparisons of pretrainings.

They start each run as a process of its own, ``cliqa train``, on a backend of `cliqa.studies`.
Not here: how runs are planned, started and summed up.
"""
