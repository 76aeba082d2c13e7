"""HyperIQA over a feature pyramid of a ResNet-50 with ImageNet weights.

model.attention=False omits CBAM; model.levels=1 uses only the deepest maps.
"""

model = dict(type="MSHyperIQA", pretrained=True)
