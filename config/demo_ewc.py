"""The demo with the weights held that the scores depend on most.

python train_config.py config/demo_ewc.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="EWC", strength=1e4)
num_workers = 0  # the images fit into memory
