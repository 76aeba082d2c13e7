"""The shared network of Zhang et al. (TPAMI 2023): ResNet-18 and S-CNN, and a score without bias.

The S-CNN is not trained: set model.backbone.branches.1.weights=FILE to the published file.
"""

model = dict(
    type="QualityModel",
    backbone=dict(
        type="ParallelBackbones",
        branches=[
            dict(type="TorchvisionBackbone", arch="resnet18", nodes=["layer4"], weights="DEFAULT"),
            dict(type="SCNN", weights=None),
        ],
    ),
    neck=dict(type="BilinearPooling", root=False),
    head=dict(type="UnitScoreHead", in_channels=65536),
    freeze=["backbone.branches.1"],
)
