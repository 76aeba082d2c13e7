"""ARNIQA: a ResNet-50 over the image and its half, unit features, ridge regression.

Agnolucci et al., WACV 2024; trained on distortions without scores. For the published encoder
set load_from=dict(path=FILE, drop=["head"]); ImageNet's weights are the default.
"""

model = dict(
    type="QualityModel",
    backbone=dict(
        type="ImageScales",
        backbone=dict(
            type="TorchvisionBackbone", arch="resnet50", nodes=["layer4"], weights="DEFAULT"
        ),
    ),
    neck=dict(type="UnitVectors"),
    head=dict(type="RidgeHead", in_channels=4096, random_features=0),
)
