"""Your own data: images and a csv, xlsx, json or parquet file of their scores.

python train_config.py config/my_data.py --data my.csv
"""

_base_ = [
    "_base_/datasets/own_scores.py",
    "_base_/models/resnet18_cosine.py",
    "_base_/schedules/adamw_10e.py",
    "_base_/default_runtime.py",
]
