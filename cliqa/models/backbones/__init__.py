"""Backbones: networks from images to feature maps, and the feature extractor.

mmpretrain's are registered by `cliqa.models.mmpretrain_bridge`.
"""
