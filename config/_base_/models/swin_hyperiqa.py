"""HyperIQA over the stages of a Swin-T with ImageNet weights, with attention weights per image.

model.size=small and model.size=base are larger; model.attention=False uses the stages unweighted,
and with model.multi_scale=False too only the last stage is used.
"""

model = dict(type="SwinHyperIQA", size="tiny", pretrained=True)
