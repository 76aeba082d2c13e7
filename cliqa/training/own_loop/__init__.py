"""Continual learning in your own training loop, without Avalanche's template.

`ContinualLearningFramework` is the entry; `strategies` runs this package's plugins for it.
"""
