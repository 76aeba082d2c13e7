"""Split Fashion-MNIST, fine-tuned: the lower bound.

python train_config.py config/fmnist_naive.py --cfg-options scenario.download=True
"""

_base_ = [
    "_base_/datasets/fashion_mnist.py",
    "_base_/models/small_conv_net.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Naive")
num_workers = 0  # the images are in memory
