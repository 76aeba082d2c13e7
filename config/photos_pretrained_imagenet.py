"""Degraded photographs with an EfficientNet-Lite0 of ImageNet weights: plain fine-tuning.

python train_config.py config/photos_pretrained_imagenet.py --cfg-options \
scenario.generate.photos=PHOTOS
"""

_base_ = ["demo_pretrained_imagenet.py"]

scenario = dict(
    dataset_root="data/photos",
    generate=dict(type="DemoData", photos="data/photographs"),
)
