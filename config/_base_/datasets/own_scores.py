"""One data set from `scores.csv` (columns image, score) in `scenario.dataset_root`."""

img_norm_cfg = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])

train_pipeline = [
    dict(type="Resize", size=256),  # the short side: the aspect is kept
    dict(type="RandomCrop", size=224),
    dict(type="RandomHorizontalFlip", p=0.5),
    dict(type="ToTensor"),
    dict(type="Normalize", **img_norm_cfg),
]
test_pipeline = [
    dict(type="Resize", size=256),
    dict(type="GridCrop", size=224, rows=2, columns=2),  # four crops see the whole image
    dict(type="ToTensor"),
    dict(type="Normalize", **img_norm_cfg),
]
scenario = dict(
    type="QualityStream",
    dataset_root="data/mine",
    datasets=[
        dict(
            type="ScoreFile",
            root=".",
            labels="scores.csv",
            score_range=(0, 100),
            higher_is_better=True,
        ),
    ],
    train_transform=train_pipeline,
    eval_transform=test_pipeline,
)
metrics = [dict(type="quality_metrics")]
