r"""EVA, AVA, KonIQ-10k by ridge regression on ARNIQA's features: one pass each, exact, no memory.

python train_config.py config/iqa_arniqa_ridge.py --device cuda --cfg-options \
scenario.dataset_root=DATA

weights/ARNIQA.pth is the authors' encoder.
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/arniqa_ridge.py",
    "_base_/schedules/ridge.py",
    "_base_/default_runtime.py",
]
model = dict(backbone=dict(backbone=dict(weights=None)))
load_from = dict(path="weights/ARNIQA.pth", drop=["head"])
cl_strategy = dict(weighting="sets")  # AVA has sixty times as many images as EVA
