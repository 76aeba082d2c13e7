"""ResNet-50 with ImageNet weights, frozen; mean and deviation of three stages; ridge regression."""

model = dict(
    type="QualityModel",
    backbone=dict(
        type="TorchvisionBackbone",
        arch="resnet50",
        nodes=["layer1", "layer2", "layer3"],
        weights="DEFAULT",
    ),
    neck=dict(type="MapStatistics", statistics=["mean", "std"]),
    head=dict(type="RidgeHead", in_channels=3584, random_features=1000),
)
