"""Sixteen epochs with Adam, the backbone at a tenth of the learning rate; keeps the best epoch."""

cl_strategy = dict(
    type="Naive",
    train_mb_size=96,
    eval_mb_size=16,  # images, of many crops each
    train_epochs=16,
    optimizer=dict(
        type="Adam",
        lr=2e-4,
        weight_decay=5e-4,
        paramwise=[dict(match="backbone", lr_mult=0.1)],
    ),
    scheduler=dict(type="CosineLR", end_ratio=0.01),
    loss=dict(type="L1Loss"),
    keep_best=True,
)
