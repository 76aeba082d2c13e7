"""HyperIQA over a feature pyramid of a ResNet-50 with ImageNet weights.

model.attention=False leaves CBAM out; model.levels=1 takes the deepest maps alone.
"""

model = dict(type="MSHyperIQA", pretrained=True)
