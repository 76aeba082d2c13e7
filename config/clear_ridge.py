"""CLEAR-10 over precomputed features by ridge regression: exact, without forgetting or a memory.

python train_config.py config/clear_ridge.py --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/clear10_features.py",
    "_base_/models/linear_classifier.py",
    "_base_/schedules/ridge.py",
    "_base_/default_runtime.py",
]
model = dict(
    head=dict(type="RidgeHead", num_classes=11, in_channels=2048, random_features=1000),
)
cl_strategy = dict(loss=dict(type="CrossEntropyLoss"))
