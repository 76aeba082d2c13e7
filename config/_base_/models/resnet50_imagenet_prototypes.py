"""ResNet-50 with ImageNet weights, frozen, and class means for CLEAR-10's 11 classes."""

model = dict(
    type="ImageClassifier",
    backbone=dict(type="TorchvisionBackbone", arch="resnet50", nodes=["layer4"], weights="DEFAULT"),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="PrototypeHead", num_classes=11, in_channels=2048),
)
