"""CLEAR-10 over precomputed features: a linear classifier, joint training.

python train_config.py config/clear_features_joint.py --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_features_naive.py"]
cl_strategy = dict(type="JointTraining")
