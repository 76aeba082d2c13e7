"""The demo with weights of its own for each data set (PackNet), and the data set told at test.

python train_config.py config/demo_packnet.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="PackNet", inference="oracle")
num_workers = 0  # the images fit into memory
