"""QualiCLIP-style pretraining with opposite anchors: no CLIP, no scores.

For the texts of CLIP write anchors=dict(anchors="clip", weights="RN50.pt"), with the extra [clip].
"""

pretrain = dict(
    data=dict(crop_size=224, num_levels=5, min_overlap=0.25, held_out=0.1),
    loss=dict(type="QualiCLIPLoss"),
    anchors=dict(anchors="antipodal", dim=128),
    projection=dict(hidden=256),
    epochs=10,
    batch_size=8,
    lr_encoder=5e-5,
    lr_projection=5e-4,
    weight_decay=1e-4,
)
seed = 0
num_workers = "auto"
