"""The demo's ResNet-18 of width 16, and a small text transformer for quality levels."""

model = dict(
    type="ImageTextModel",
    backbone=dict(
        type="ResNet",
        depth=18,
        base_channels=16,
        stem_channels=16,
        norm_cfg=dict(type="GN", num_groups=8),
    ),
    text_encoder=dict(type="TextTransformer", dim=64, layers=2, heads=4),
    texts="quality_levels",
    in_channels=128,
)
