"""The generated digits with a small vision transformer and replay.

python train_config.py config/fmnist_demo_vit.py
"""

_base_ = [
    "_base_/datasets/generated_fashion.py",
    "_base_/models/small_vit.py",
    "_base_/schedules/adamw_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Replay", mem_size=200, batch_size_mem=16)
num_workers = 0  # the images are in memory
