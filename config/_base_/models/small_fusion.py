"""Three convolutions (16, 32, 64), and cross-attention from a small text transformer's words."""

model = dict(
    type="FusionModel",
    backbone=dict(type="SmallConvNet", in_channels=1),
    text_encoder=dict(type="TextTransformer", dim=64, layers=2, heads=4),
    texts="fashion_mnist",
    in_channels=64,
)
