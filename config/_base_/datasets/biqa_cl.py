"""LIVE, CSIQ, BID, LIVE-C, KonIQ-10k, KADID-10k below `scenario.dataset_root`, at full size."""

img_norm_cfg = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])

scenario = dict(
    type="QualityStream",
    dataset_root="data",
    datasets="biqa-cl",
    train_transform=[
        dict(type="AdaptiveResize", size=768),
        dict(type="QualityRandomCrop", size=384),
        dict(type="RandomHorizontalFlip", p=0.5),
        dict(type="ToTensor"),
        dict(type="Normalize", **img_norm_cfg),
    ],
    eval_transform=[
        dict(type="AdaptiveResize", size=768),
        dict(type="ToTensor"),
        dict(type="Normalize", **img_norm_cfg),
    ],
)
metrics = [dict(type="quality_metrics"), dict(type="loss_metrics", epoch=True, experience=True)]
