"""The demo with the full ResNet-18 cosine model from random weights, for compression.

python train_config.py config/demo_resnet18.py    # mSRCC 0.873 with seed 0, on one thread of a CPU
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
model = dict(pretrained=False)
cl_strategy = dict(type="Replay", mem_size=100)
num_workers = 0  # the images fit into memory
