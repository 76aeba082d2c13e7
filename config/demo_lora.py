"""The demo with adapters: the first data set trains the network, each later one an adapter.

python train_config.py config/demo_lora.py

A gate tells from an image which adapter it needs. Add
--cfg-options cl_strategy.inference=oracle for the upper bound: each image's data set is known.
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(
    type="LoRA", rank=8, mode="per_task", first="full", norm="train", inference="gate"
)
num_workers = 0  # the images fit into memory
