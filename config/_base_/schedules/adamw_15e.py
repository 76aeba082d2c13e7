"""Fifteen epochs per experience with AdamW, for small transformers on small images."""

cl_strategy = dict(
    type="Naive",
    train_mb_size=32,
    eval_mb_size=128,
    train_epochs=15,
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.05),
    loss=dict(type="CrossEntropyLoss"),
    clip_grad_norm=1.0,
)
