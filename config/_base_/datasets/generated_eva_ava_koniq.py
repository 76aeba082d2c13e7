"""EVA -> AVA -> KonIQ in the official layouts, written by the package's own generator."""

img_norm_cfg = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])

train_pipeline = [
    dict(type="RandomCrop", size=88),
    dict(type="RandomHorizontalFlip", p=0.5),
    dict(type="ToTensor"),
    dict(type="Normalize", **img_norm_cfg),
]
test_pipeline = [
    dict(type="CenterCrop", size=96),
    dict(type="ToTensor"),
    dict(type="Normalize", **img_norm_cfg),
]
scenario = dict(
    type="QualityStream",
    dataset_root="data/demo",
    generate=dict(type="DemoData"),
    datasets=[
        dict(type="EVA", root="eva", fractions=(500 / 750, 50 / 750, 200 / 750)),
        dict(type="AVA", root="ava", val_fraction=50 / 550),
        dict(type="KonIQ10k", root="koniq"),
    ],
    train_transform=train_pipeline,
    eval_transform=test_pipeline,
)
metrics = [dict(type="quality_metrics")]
