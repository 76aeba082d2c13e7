"""ARNIQA: a ResNet-50 over the image and its half, unit features, ridge regression.

Agnolucci et al., WACV 2024; trained on distortions without scores. Add --cfg-options load_from=FILE
model.backbone.backbone.weights=None for the published encoder; ImageNet's weights are the default.
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
