"""The default: three generated data sets, learned one after the other with replay.

python train_config.py config/demo.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Replay", mem_size=100)
num_workers = 0  # the images fit into memory
