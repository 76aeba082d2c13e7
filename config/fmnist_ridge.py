"""Split Fashion-MNIST by ridge regression on ImageNet features: exact, without a memory.

python train_config.py config/fmnist_ridge.py --cfg-options scenario.download=True
"""

_base_ = [
    "_base_/datasets/fashion_mnist.py",
    "_base_/models/efficientnet_lite0_ridge.py",
    "_base_/schedules/ridge.py",
    "_base_/default_runtime.py",
]
model = dict(type="ImageClassifier", head=dict(num_classes=10))
pipeline = [
    dict(type="Resize", size=64),
    dict(type="Grayscale", num_output_channels=3),
    dict(type="ToTensor"),
    dict(type="Normalize", mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5]),
]
scenario = dict(train_transform=pipeline, eval_transform=pipeline)
cl_strategy = dict(loss=dict(type="CrossEntropyLoss"))
num_workers = 0  # the images are in memory
