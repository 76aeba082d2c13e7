"""Your own data: a folder of images and a CSV file with the columns image and score.

python train_config.py config/my_data.py --cfg-options scenario.dataset_root=FOLDER
"""

_base_ = [
    "_base_/datasets/own_scores.py",
    "_base_/models/resnet18_cosine.py",
    "_base_/schedules/adamw_10e.py",
    "_base_/default_runtime.py",
]
