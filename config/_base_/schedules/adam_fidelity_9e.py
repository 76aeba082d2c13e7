"""Nine epochs per experience with Adam, a tenth of the rate every three, fidelity of pairs."""

cl_strategy = dict(
    type="Naive",
    train_mb_size=32,
    eval_mb_size=8,
    train_epochs=9,
    keep_best=True,
    reset_optimizer=True,
    optimizer=dict(type="Adam", lr=2e-4, weight_decay=5e-4),
    scheduler=dict(type="StepLR", step_size=3, gamma=0.1),
    loss=dict(type="FidelityLoss", sigma=1.0),
)
