"""CLEAR-10 as features of a network pretrained on its bucket 0, which the archive has."""

_base_ = ["./clear10_iid.py"]

scenario = dict(feature_type="moco_b0", train_transform=None, eval_transform=None)
