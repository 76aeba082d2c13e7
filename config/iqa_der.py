"""EVA, AVA and KonIQ-10k in turn, with a memory of earlier images and of their predicted scores.

python train_config.py config/iqa_der.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/resnet18_cosine.py",
    "_base_/schedules/adamw_10e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="DER", mem_size=1000, alpha=1.0, beta=0.5)
