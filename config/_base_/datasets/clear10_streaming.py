"""CLEAR-10, the streaming protocol: train on all of a bucket, test on the next ones."""

_base_ = ["./clear10_iid.py"]

scenario = dict(evaluation_protocol="streaming", seed=None)
metrics = [
    dict(type="accuracy_metrics", epoch=True, experience=True, stream=True),
    dict(type="loss_metrics", epoch=True, experience=True),
]
