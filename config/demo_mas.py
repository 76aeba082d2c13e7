"""The demo with the weights held that the scores react to most (MAS).

python train_config.py config/demo_mas.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="MAS", strength=10.0)
num_workers = 0  # the images fit into memory
