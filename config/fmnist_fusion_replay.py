"""Split Fashion-MNIST.

python train_config.py config/fmnist_fusion_replay.py --cfg-options scenario.download=True
"""

_base_ = [
    "_base_/datasets/fashion_mnist.py",
    "_base_/models/small_fusion.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="TextReplay", mem_size=200, batch_size_mem=16, beta=0.5)
num_workers = 0  # the images are in memory
