"""KonIQ-10k with HyperIQA over a Swin-T: ten epochs of 20 patches per image.

python train_config.py config/koniq_swin_hyperiqa.py --cfg-options scenario.dataset_root=DATA

model.size=small and model.size=base are larger.
"""

_base_ = [
    "_base_/datasets/koniq.py",
    "_base_/models/swin_hyperiqa.py",
    "_base_/schedules/adamw_fine_10e.py",
    "_base_/default_runtime.py",
]
scenario = dict(patches_per_image=20)
amp = "bfloat16"
