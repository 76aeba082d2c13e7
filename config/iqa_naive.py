"""Fine-tune on EVA, AVA and KonIQ-10k in turn: the lower bound.

python train_config.py config/iqa_naive.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/resnet18_cosine.py",
    "_base_/schedules/adamw_10e.py",
    "_base_/default_runtime.py",
]
