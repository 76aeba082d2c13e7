"""ResNet-18 with ImageNet weights and a cosine-similarity score."""

model = dict(type="LightweightModel", backbone="resnet18", embedding_dim=256, pretrained=True)
