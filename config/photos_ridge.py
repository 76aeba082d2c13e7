"""Ridge regression on ImageNet features over degraded photographs: exact, without a memory.

python train_config.py config/photos_ridge.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = [
    "_base_/datasets/photos.py",
    "_base_/models/efficientnet_lite0_ridge.py",
    "_base_/schedules/ridge.py",
    "_base_/default_runtime.py",
]
pipeline = [
    dict(type="CenterCrop", size=96),
    dict(type="ToTensor"),
    dict(type="Normalize", mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5]),
]
scenario = dict(train_transform=pipeline, eval_transform=pipeline)
cl_strategy = dict(standardize="first")
num_workers = 0  # the images fit into memory
