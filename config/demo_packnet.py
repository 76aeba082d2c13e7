"""The demo with weights of its own for each data set (PackNet), and a gate that tells them apart.

python train_config.py config/demo_packnet.py

Add --cfg-options cl_strategy.inference=oracle for the upper bound: each image's data set is known.
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="PackNet", inference="gate")
num_workers = 0  # the images fit into memory
