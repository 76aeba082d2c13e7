"""Fifteen epochs per experience with SGD, for small networks on small images.

The gradient is clipped: with two new classes at a time all ReLUs of a network without
normalisation can die, and it then predicts one class for ever.
"""

cl_strategy = dict(
    type="Naive",
    train_mb_size=32,
    eval_mb_size=128,
    train_epochs=15,
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9),
    loss=dict(type="CrossEntropyLoss"),
    clip_grad_norm=1.0,
)
