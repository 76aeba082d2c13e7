"""Continual learning for a training loop of one's own, without Avalanche's template.

`ContinualFramework` is the entry; the rest adapts the plugins to it.
"""
