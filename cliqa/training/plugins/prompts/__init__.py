"""Prompts that are learnt beside a frozen transformer.

The prompts are part of the model (`cliqa.models.backbones.prompted`); no image is kept.
"""
