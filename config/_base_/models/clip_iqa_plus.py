"""CLIP-IQA+: CLIP-IQA of which a context of 16 vectors among the words is trained alone (CoOp).

Wang et al., AAAI 2023. For the published context add --cfg-options model.text_encoder.context=FILE
(and model.text_encoder.contexts=2 where each text has its own), or load_from=FILE of the published
checkpoint with model.backbone.pretrained=None model.text_encoder.pretrained=None.
"""

model = dict(
    type="ImageTextModel",
    backbone=dict(type="CLIPVision", arch="RN50", positions=False, pretrained="weights/RN50.pt"),
    text_encoder=dict(type="CLIPContextText", arch="RN50", pretrained="weights/RN50.pt"),
    texts="clip_iqa",
    in_channels=1024,
    width=None,
    temperature=0.01,
    freeze=["backbone", "head"],
)
