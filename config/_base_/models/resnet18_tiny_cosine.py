"""A ResNet-18 of width 16 with group normalisation: small enough to train on a CPU.

Group normalisation has no running statistics, which would forget faster than the weights.
"""

model = dict(
    type="QualityModel",
    backbone=dict(
        type="ResNet",
        depth=18,
        base_channels=16,
        stem_channels=16,
        norm_cfg=dict(type="GN", num_groups=8),
    ),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="CosineScoreHead", in_channels=128, embed_dims=256),
)
