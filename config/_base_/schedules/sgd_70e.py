"""Seventy epochs per experience with SGD; the learning rate is divided by ten every thirty."""

cl_strategy = dict(
    type="Naive",
    train_mb_size=64,
    eval_mb_size=128,
    train_epochs=70,
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=1e-5),
    scheduler=dict(type="StepLR", step_size=30, gamma=0.1),
    loss=dict(type="CrossEntropyLoss", loss_weight=1.0),
)
