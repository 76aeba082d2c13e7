"""HyperIQA over a ResNet-50 with ImageNet weights.

For weights of the published code add --cfg-options load_from=FILE model.pretrained=False
"model.score_range=(0,100)"; where they were trained on KonIQ-10k, both transforms begin with
dict(type="HyperIQAResize") in place of Resize, and crops of 224 follow.
"""

model = dict(type="HyperIQA", pretrained=True)
