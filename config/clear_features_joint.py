"""CLEAR-10 over precomputed features: a linear classifier, all buckets at once.

python train_config.py config/clear_features_joint.py --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/clear10_features.py",
    "_base_/models/linear_classifier.py",
    "_base_/schedules/sgd_70e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="JointTraining")
