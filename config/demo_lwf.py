"""The demo, each data set taught by the model as it was before (LwF).

python train_config.py config/demo_lwf.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="LwF", alpha=1.0)
num_workers = 0  # the images fit into memory
