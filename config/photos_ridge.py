"""Ridge regression on ImageNet features over degraded photographs: exact, without a memory.

python train_config.py config/photos_ridge.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["demo_ridge.py"]

scenario = dict(
    dataset_root="data/photos",
    generate=dict(type="DemoData", photos="data/photographs"),
)
