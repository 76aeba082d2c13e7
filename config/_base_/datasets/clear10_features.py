"""CLEAR-10 as the archive's features of a network pretrained on its bucket 0."""

_base_ = ["./clear10_iid.py"]

scenario = dict(feature_type="moco_b0", train_transform=None, eval_transform=None)
