"""EVA, AVA and KonIQ-10k in turn, with the weights held that lowered the loss most.

Zenke et al., ICML 2017.

python train_config.py config/iqa_si.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/resnet18_cosine.py",
    "_base_/schedules/adamw_10e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="SI", strength=1000.0)
