"""The demo with a memory of 100 images and of the scores the model gave them (DER++).

python train_config.py config/demo_der.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="DER", mem_size=100, alpha=1.0, beta=0.5)
num_workers = 0  # the images fit into memory
