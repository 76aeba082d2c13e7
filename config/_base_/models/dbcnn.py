"""DB-CNN: VGG-16 with ImageNet weights, a network of synthetic distortions, bilinear pooling.

Zhang et al., TCSVT 2020: 15,311,345 parameters. For published weights add --cfg-options
load_from=FILE model.backbone.branches.0.weights=None; for those of the S-CNN alone
model.backbone.branches.1.weights=FILE.
"""

model = dict(
    type="QualityModel",
    backbone=dict(
        type="ParallelBackbones",
        branches=[
            dict(
                type="TorchvisionBackbone",
                arch="vgg16",
                nodes=["features.29"],  # conv5_3 with its ReLU, without the last pooling
                weights="DEFAULT",
            ),
            dict(type="SCNN", weights=None),
        ],
    ),
    neck=dict(type="BilinearPooling"),
    head=dict(type="LinearScoreHead", in_channels=65536),
)
