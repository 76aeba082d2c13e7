"""CLEAR-10 over precomputed features: a linear classifier with replay.

python train_config.py config/clear_features_replay.py --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_features_naive.py"]
cl_strategy = dict(type="Replay", mem_size=2000)
