"""Fine-tuning on degraded photographs, one data set after the other.

python train_config.py config/photos_naive.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = [
    "_base_/datasets/photos.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Naive")
num_workers = 0  # the images fit into memory
