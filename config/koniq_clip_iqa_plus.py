"""KonIQ-10k with CLIP-IQA+: a context of 16 vectors among two texts is all that is trained.

python train_config.py config/koniq_clip_iqa_plus.py --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/koniq_clip.py",
    "_base_/models/clip_iqa_plus.py",
    "_base_/schedules/adamw_10e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(
    eval_mb_size=16,
    optimizer=dict(_delete_=True, type="SGD", lr=2e-3),  # the authors'
    loss=dict(type="MSELoss"),
)
