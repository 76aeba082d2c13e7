"""Split Fashion-MNIST with handwritten digits in its files, fine-tuned: the lower bound.

python train_config.py config/fmnist_demo_naive.py
"""

_base_ = [
    "_base_/datasets/generated_fashion.py",
    "_base_/models/small_conv_net.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Naive")
num_workers = 0  # the images are in memory
