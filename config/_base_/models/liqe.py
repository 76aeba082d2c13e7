"""LIQE: CLIP's ViT-B/32 against 495 texts of quality, scene and distortion; trains both towers.

Zhang et al., CVPR 2023. The file is OpenAI's download; it needs pip install -e ".[clip]". For
published weights add --cfg-options load_from=FILE model.backbone.pretrained=None
model.text_encoder.pretrained=None.
"""

model = dict(
    type="LIQE",
    backbone=dict(type="CLIPVision", arch="ViT-B/32", pretrained="weights/ViT-B-32.pt"),
    text_encoder=dict(
        type="CLIPText", arch="ViT-B/32", pretrained="weights/ViT-B-32.pt", freeze=False
    ),
    freeze=["head"],
)
