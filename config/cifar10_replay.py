"""Split CIFAR-10 with replay of 500 images.

python train_config.py config/cifar10_replay.py --device cuda --cfg-options scenario.download=True
"""

_base_ = [
    "_base_/datasets/cifar10.py",
    "_base_/models/resnet18_cifar.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Replay", mem_size=500)
num_workers = 0  # the images are in memory
