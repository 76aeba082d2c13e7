"""EVA, AVA and KonIQ-10k in turn, an adapter for each; images tell which one they need.

python train_config.py config/iqa_lora.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/resnet18_cosine.py",
    "_base_/schedules/adamw_10e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="LoRA", rank=8, mode="per_task", norm="train", inference="gate")
