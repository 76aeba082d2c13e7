"""The generated digits with cross-attention from the words of class texts to image regions.

python train_config.py config/fmnist_demo_fusion.py
"""

_base_ = [
    "_base_/datasets/generated_fashion.py",
    "_base_/models/small_fusion.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="TextReplay", mem_size=200, batch_size_mem=16, beta=0.5)
num_workers = 0  # the images are in memory
