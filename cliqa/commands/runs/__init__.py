"""Commands about one run and its config: train, test, evaluate, draw, print, convert.

Not here: several runs over seeds (`studies`) and what is done with a trained model (`models`).
``cliqa evaluate`` and ``cliqa visualize`` also compare several runs.
"""
