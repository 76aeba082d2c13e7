"""Plugins: one continual-learning method per file, over `base.ContinualPlugin`.

What they share is in `importance`, `views` and `adapter_memory`.
"""
