"""KonIQ-10k with TOPIQ (no reference): 25 patches per image; the best epoch on val is kept.

python train_config.py config/koniq_topiq.py --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/koniq.py",
    "_base_/models/topiq.py",
    "_base_/schedules/adam_16e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(train_mb_size=16)
amp = "bfloat16"
