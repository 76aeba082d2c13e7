"""Plugins: one continual-learning method per file, over `base.ContinualPlugin`.

A room for each kind of method; what they share is in `cliqa.training.importance`,
`cliqa.training.views` and `cliqa.training.adapter_memory`.
"""
