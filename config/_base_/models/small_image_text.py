"""Three convolutions (16, 32, 64) and a small text transformer, embedded in 64 values."""

model = dict(
    type="ImageTextModel",
    backbone=dict(type="SmallConvNet", in_channels=1, flatten=True),
    text_encoder=dict(type="TextTransformer", dim=64, layers=2, heads=4),
    texts="fashion_mnist",
    in_channels=576,
)
