"""EVA, AVA and KonIQ-10k in turn, each taught by the model as it was before.

python train_config.py config/iqa_lwf.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/resnet18_cosine.py",
    "_base_/schedules/adamw_10e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="LwF", alpha=1.0, distill="mse")  # or "fidelity", for pairs of images
