"""HyperIQA over the stages of a Swin-T with ImageNet weights, weighed for each image.

model.size=small and model.size=base are larger; model.attention=False joins the stages unweighed,
and with model.multi_scale=False too the last stage stands alone.
"""

model = dict(type="SwinHyperIQA", size="tiny", pretrained=True)
