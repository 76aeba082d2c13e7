"""KonIQ-10k with DB-CNN: 25 patches per image; the best epoch on the val split is kept.

python train_config.py config/koniq_dbcnn.py --cfg-options scenario.dataset_root=DATA

The authors first train the score alone: model.freeze=['backbone'] and load_from for the rest.
"""

_base_ = [
    "_base_/datasets/koniq.py",
    "_base_/models/dbcnn.py",
    "_base_/schedules/adam_16e.py",
    "_base_/default_runtime.py",
]
amp = "bfloat16"
