"""ResNet-50 with CLIP's frozen text encoder, for CLEAR-10's 11 classes.

The encoder's file is OpenAI's download; it needs ``pip install -e ".[clip]"``.
"""

model = dict(
    type="ImageTextModel",
    backbone=dict(type="ResNet", depth=50),
    text_encoder=dict(type="CLIPText", arch="ViT-B/32", pretrained="weights/ViT-B-32.pt"),
    texts="clear10",
    in_channels=2048,
    width=512,
)
