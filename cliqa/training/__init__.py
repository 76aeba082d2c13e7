"""Training: the loop, strategies and continual-learning methods.

Start at `strategy` (what a plugin may use) and `plugins` (the methods). Building a training from a
config is in `cliqa.engine`, pretraining without scores in `cliqa.pretraining`.
"""
