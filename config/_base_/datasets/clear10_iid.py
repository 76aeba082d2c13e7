"""CLEAR-10 (11 classes with the background), 70 % of each bucket for training."""

img_norm_cfg = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])

train_pipeline = [
    dict(type="Resize", size=224),
    dict(type="RandomCrop", size=224),
    dict(type="RandomHorizontalFlip", p=0.5),
    dict(type="ToTensor"),
    dict(type="Normalize", **img_norm_cfg),
]
test_pipeline = [
    dict(type="Resize", size=256),
    dict(type="CenterCrop", size=224),
    dict(type="ToTensor"),
    dict(type="Normalize", **img_norm_cfg),
]
scenario = dict(
    type="CLEAR",
    data_name="clear10",
    dataset_root="data/CLEAR-10-PUBLIC",
    evaluation_protocol="iid",
    seed=0,
    train_transform=train_pipeline,
    eval_transform=test_pipeline,
)
metrics = [
    dict(type="accuracy_metrics", epoch=True, experience=True, stream=True),
    dict(type="loss_metrics", epoch=True, experience=True),
    dict(type="forgetting_metrics", experience=True, stream=True),
]
