"""CLIP-IQA: CLIP's RN50 without positions against "Good photo." and "Bad photo."; any image size.

Wang et al., AAAI 2023. CLIP's own weights give the published scores; a stream trains the image
encoder. The file is OpenAI's download; it needs pip install -e ".[clip]".
"""

model = dict(
    type="ImageTextModel",
    backbone=dict(type="CLIPVision", arch="RN50", positions=False, pretrained="weights/RN50.pt"),
    text_encoder=dict(type="CLIPText", arch="RN50", pretrained="weights/RN50.pt"),
    texts="clip_iqa",
    in_channels=1024,
    width=None,
    temperature=0.01,
)
