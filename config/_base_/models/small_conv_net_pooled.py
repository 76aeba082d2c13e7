"""Three convolutions (16, 32, 64), global average pooling, and a linear head: 64 features."""

model = dict(
    type="ImageClassifier",
    backbone=dict(type="SmallConvNet", in_channels=1),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=64),
)
