"""ResNet-18 with ImageNet weights and a score without bias, for losses that compare images."""

model = dict(
    type="QualityModel",
    backbone=dict(type="TorchvisionBackbone", arch="resnet18", nodes=["layer4"], weights="DEFAULT"),
    head=dict(type="UnitScoreHead", in_channels=512),
)
