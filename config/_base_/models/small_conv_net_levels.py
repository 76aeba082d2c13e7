"""Four convolutions with batch normalisation; mean and deviation of all levels: 352 features."""

model = dict(
    type="QualityModel",
    backbone=dict(
        type="SmallConvNet",
        in_channels=3,
        channels=(16, 32, 64, 64),
        norm="BN",
        out_indices=(0, 1, 2, 3),
    ),
    neck=dict(type="MapStatistics", statistics=["mean", "std"]),
    head=dict(type="LinearScoreHead", in_channels=352),
)
