"""TOPIQ without a reference: ResNet-50 with ImageNet weights, attention from coarse to fine maps.

Chen et al., TIP 2024. Batch normalisation is not trained, as published. For published weights add
--cfg-options load_from=FILE model.backbone.weights=None.
"""

model = dict(
    type="QualityModel",
    backbone=dict(
        type="TorchvisionBackbone",
        arch="resnet50",
        nodes=["relu", "layer1", "layer2", "layer3", "layer4"],
        weights="DEFAULT",
    ),
    neck=dict(type="CrossScaleAttention", in_channels=[64, 256, 512, 1024, 2048]),
    head=dict(type="MLPScoreHead", in_channels=256),
    freeze=["backbone.body.bn1", "backbone.body.layer*.bn?", "backbone.body.layer*.downsample.1"],
)
