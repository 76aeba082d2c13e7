"""EVA, AVA and KonIQ-10k in turn, with the weights held that the scores depend on most.

Kirkpatrick et al., PNAS 2017.

python train_config.py config/iqa_ewc.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/resnet18_cosine.py",
    "_base_/schedules/adamw_10e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="EWC", strength=1e4)
