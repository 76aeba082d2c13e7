"""Degraded photographs at once, by a small network from scratch, for few labels.

python train_config.py config/photos_small.py --cfg-options scenario.generate.photos=PHOTOS \
    scenario.max_train=33
"""

_base_ = [
    "_base_/datasets/photos.py",
    "_base_/models/small_conv_net_levels.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(
    type="JointTraining",
    train_epochs=60,
    validate_every=0,
    optimizer=dict(lr=3e-3),
    scheduler=dict(type="OneCycleLR", max_lr=3e-3, by="iteration"),
)
num_workers = 0  # the images fit into memory
