"""The demo with InfLoRA: adapters that leave the outputs for earlier images as they are.

python train_config.py config/demo_inflora.py

No view is chosen at test, and nothing but the inputs' main directions is kept. The head is adapted
like any layer: one that trains on freely forgets all that the adapters protect. A minute on a core;
mSRCC 0.591 / 0.749 / 0.630 for the seeds 0 / 1 / 2.
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="LoRA", rank=8, mode="inflora", first="full", heads=[])
num_workers = 0  # the images fit into memory
