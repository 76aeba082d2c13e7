"""The demo by plain fine-tuning: the lower bound.

python train_config.py config/demo_naive.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
num_workers = 0  # the images fit into memory
