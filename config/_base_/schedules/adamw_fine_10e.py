"""Ten epochs with AdamW, a tenth of the learning rate for the backbone; the best epoch is kept."""

cl_strategy = dict(
    type="Naive",
    train_mb_size=32,
    eval_mb_size=16,  # images, of many crops each
    train_epochs=10,
    optimizer=dict(
        type="AdamW",
        lr=5e-6,
        weight_decay=2e-4,
        paramwise=[dict(match="backbone", lr_mult=0.1)],
    ),
    scheduler=dict(type="CosineLR", end_ratio=0.01),
    loss=dict(type="L1Loss"),
    clip_grad_norm=1.0,
    keep_best=True,
)
