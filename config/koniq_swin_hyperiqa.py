"""KonIQ-10k with HyperIQA over a Swin-T: ten epochs of 20 patches of every image.

python train_config.py config/koniq_swin_hyperiqa.py --device cuda --cfg-options \
    scenario.dataset_root=DATA model.size=base
"""

_base_ = [
    "_base_/datasets/koniq.py",
    "_base_/models/swin_hyperiqa.py",
    "_base_/schedules/adam_16e.py",
    "_base_/default_runtime.py",
]
scenario = dict(patches_per_image=20)
cl_strategy = dict(
    train_mb_size=32,
    train_epochs=10,
    clip_grad_norm=1.0,
    optimizer=dict(
        _delete_=True,
        type="AdamW",
        lr=5e-6,
        weight_decay=2e-4,
        paramwise=[dict(match="backbone", lr_mult=0.1)],
    ),
)
amp = "bfloat16"
