"""ResNet-50 with a linear head for CLEAR-10's 11 classes."""

model = dict(
    type="ImageClassifier",
    backbone=dict(type="ResNet", depth=50),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=11, in_channels=2048),
)
