"""Eight epochs per experience with AdamW, L1 loss on scores in 0..1."""

cl_strategy = dict(
    type="Naive",
    train_mb_size=32,
    eval_mb_size=64,
    train_epochs=8,
    optimizer=dict(type="AdamW", lr=1e-3),
    loss=dict(type="L1Loss"),
)
