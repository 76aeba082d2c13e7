"""KonIQ-10k with HyperIQA over a feature pyramid: thirty epochs of 25 patches per image.

python train_config.py config/koniq_ms_hyperiqa.py --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/koniq.py",
    "_base_/models/ms_hyperiqa.py",
    "_base_/schedules/adam_16e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(train_epochs=30)
amp = "bfloat16"
