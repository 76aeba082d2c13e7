"""KonIQ-10k with LIQE: CLIP's two towers, fidelity of all pairs among 32 crops.

python train_config.py config/koniq_liqe.py --device cuda --cfg-options scenario.dataset_root=DATA

The scene and the distortion of an image are not trained here: KonIQ-10k has no labels of them.
"""

_base_ = [
    "_base_/datasets/koniq_clip.py",
    "_base_/models/liqe.py",
    "_base_/schedules/adam_fidelity_9e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=5e-6, weight_decay=1e-3),
    loss=dict(sigma=0.25),  # of scores in 0..1: 1 on the paper's scale of 1..5
)
