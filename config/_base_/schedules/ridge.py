"""One pass over each data set, and one solution in closed form after it."""

cl_strategy = dict(
    type="StreamingRidge",
    strength="gcv",
    train_mb_size=64,
    eval_mb_size=128,
    train_epochs=1,
    optimizer=dict(type="AdamW", lr=1e-4),  # of a first session alone
    loss=dict(type="MSELoss"),
)
