"""CIFAR-10 in five experiences of two classes, from torchvision's folder."""

img_norm_cfg = dict(mean=[0.4914, 0.4822, 0.4465], std=[0.247, 0.2435, 0.2616])

train_pipeline = [
    dict(type="RandomCrop", size=32, padding=4),
    dict(type="RandomHorizontalFlip", p=0.5),
    dict(type="ToTensor"),
    dict(type="Normalize", **img_norm_cfg),
]
test_pipeline = [dict(type="ToTensor"), dict(type="Normalize", **img_norm_cfg)]
scenario = dict(
    type="SplitCIFAR10",
    dataset_root="data",
    train_transform=train_pipeline,
    eval_transform=test_pipeline,
    download=False,
)
metrics = [
    dict(type="accuracy_metrics", epoch=True, experience=True, stream=True),
    dict(type="forgetting_metrics", experience=True, stream=True),
]
