"""The demo with normalisation layers and a head for each data set, and a gate to choose.

python train_config.py config/demo_tsn.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(
    type="TaskSpecificParts", parts=["norm", "head"], shared="first", inference="gate"
)
num_workers = 0  # the images fit into memory
