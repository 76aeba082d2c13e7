"""Three convolutions (16, 32, 64) and a linear head: made for 28 x 28 grey images, 10 classes."""

model = dict(
    type="ImageClassifier",
    backbone=dict(type="SmallConvNet", in_channels=1, flatten=True),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=576),
)
