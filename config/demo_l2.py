"""The demo with the weights held near where they were.

python train_config.py config/demo_l2.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="L2", strength=0.1)
num_workers = 0  # the images fit into memory
