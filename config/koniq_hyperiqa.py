"""KonIQ-10k with HyperIQA: 25 patches per image; the best epoch on the val split is kept.

python train_config.py config/koniq_hyperiqa.py --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/koniq.py",
    "_base_/models/hyperiqa.py",
    "_base_/schedules/adam_16e.py",
    "_base_/default_runtime.py",
]
amp = "bfloat16"
