"""Fashion-MNIST in five experiences of two classes, from torchvision's folder."""

train_pipeline = [dict(type="ToTensor"), dict(type="Normalize", mean=[0.286], std=[0.353])]
scenario = dict(
    type="SplitFashionMNIST",
    dataset_root="data",
    n_experiences=5,
    train_transform=train_pipeline,
    eval_transform=train_pipeline,
    download=False,
)
metrics = [
    dict(type="accuracy_metrics", epoch=True, experience=True, stream=True),
    dict(type="forgetting_metrics", experience=True, stream=True),
]
