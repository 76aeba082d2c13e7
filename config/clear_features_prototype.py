"""CLEAR-10 over precomputed features: the nearest class mean, without forgetting.

python train_config.py config/clear_features_prototype.py --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/clear10_features.py",
    "_base_/models/linear_classifier.py",
    "_base_/schedules/one_pass.py",
    "_base_/default_runtime.py",
]
model = dict(head=dict(type="PrototypeHead", num_classes=11, in_channels=2048))
