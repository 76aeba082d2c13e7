"""EVA, AVA, KonIQ-10k by ridge regression on ImageNet features: one pass each, exact, no memory.

python train_config.py config/iqa_ridge.py --device cuda --cfg-options scenario.dataset_root=DATA

The sums over 4,584 features take 84 MB, whatever the number of images.
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/resnet50_ridge.py",
    "_base_/schedules/ridge.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(weighting="sets")  # AVA has sixty times as many images as EVA
