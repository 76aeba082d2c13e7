"""A vision transformer of four layers and 128 dimensions, 4 x 4 patches of 28 x 28 grey images."""

model = dict(
    type="ImageClassifier",
    backbone=dict(
        type="VisionTransformer",
        arch=dict(embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=384),
        img_size=28,
        patch_size=4,
        in_channels=1,
    ),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=128),
)
