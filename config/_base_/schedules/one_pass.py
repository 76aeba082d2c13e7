"""One epoch, for strategies that train without gradients."""

cl_strategy = dict(
    type="NearestClassMean",
    train_mb_size=64,
    eval_mb_size=128,
    train_epochs=1,
    optimizer=dict(type="SGD", lr=0.1),  # not used
    loss=dict(type="CrossEntropyLoss"),
)
