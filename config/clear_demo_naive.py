"""CLEAR with generated images in its file layout, fine-tuning: the lower bound.

python train_config.py config/clear_demo_naive.py
"""

_base_ = [
    "_base_/datasets/generated_clear.py",
    "_base_/models/small_conv_net.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
model = dict(backbone=dict(in_channels=3), head=dict(num_classes=5, in_channels=1024))
cl_strategy = dict(type="Naive")
num_workers = 0  # the images fit into memory
