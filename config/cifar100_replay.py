"""Split CIFAR-100 with replay of 2000 images.

python train_config.py config/cifar100_replay.py --device cuda --cfg-options scenario.download=True
"""

_base_ = [
    "_base_/datasets/cifar100.py",
    "_base_/models/resnet18_cifar.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
model = dict(head=dict(num_classes=100))
cl_strategy = dict(type="Replay", mem_size=2000)
num_workers = 0  # the images are in memory
