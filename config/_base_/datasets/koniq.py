"""KonIQ-10k alone, in its official layout and split: 25 patches per image and epoch."""

img_norm_cfg = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])

train_pipeline = [
    dict(type="Resize", size=384),  # the short side: 1024 x 768 becomes 512 x 384
    dict(type="RandomCrop", size=224),
    dict(type="RandomHorizontalFlip", p=0.5),
    dict(type="ToTensor"),
    dict(type="Normalize", **img_norm_cfg),
]
test_pipeline = [
    dict(type="Resize", size=384),
    dict(type="GridCrop", size=224, rows=3, columns=4),  # every pixel is seen
    dict(type="ToTensor"),
    dict(type="Normalize", **img_norm_cfg),
]
scenario = dict(
    type="QualityStream",
    dataset_root="data",
    datasets=[dict(type="KonIQ10k", root="koniq")],
    train_transform=train_pipeline,
    eval_transform=test_pipeline,
    patches_per_image=25,
    patch_pool=256,
)
metrics = [dict(type="quality_metrics")]
