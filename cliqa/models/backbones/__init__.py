"""Backbones: networks from images to feature maps.

mmpretrain's come in by `cliqa.models.mmpretrain_bridge`.
"""
