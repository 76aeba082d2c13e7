"""ResNet-18 for small images, with a linear head for 10 classes."""

model = dict(
    type="ImageClassifier",
    backbone=dict(type="ResNet_CIFAR", depth=18),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=512),
)
