"""Self-supervised pretraining on images without scores: pairs, anchors, loop and accuracy.

Building it from a config is in `cliqa.engine.pretrain`.
"""
