"""ResNet-18 with ImageNet weights and a small text transformer for quality levels."""

model = dict(
    type="ImageTextModel",
    backbone=dict(type="TorchvisionBackbone", arch="resnet18", nodes=["layer4"], weights="DEFAULT"),
    text_encoder=dict(type="TextTransformer", dim=64, layers=2, heads=4),
    texts="quality_levels",
    in_channels=512,
)
