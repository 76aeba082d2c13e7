"""Three convolutions (16, 32, 64), whose map the words of a small text transformer attend to."""

model = dict(
    type="FusionModel",
    backbone=dict(type="SmallConvNet", in_channels=1),
    text_encoder=dict(type="TextTransformer", dim=64, layers=2, heads=4),
    texts="fashion_mnist",
    in_channels=64,
)
