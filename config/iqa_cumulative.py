"""Train on EVA, then EVA and AVA, then all three: the upper end after each data set.

python train_config.py config/iqa_cumulative.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/resnet18_cosine.py",
    "_base_/schedules/adamw_10e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Cumulative")
