"""Generated images of shapes whose appearance drifts over four buckets, in CLEAR's layout."""

train_pipeline = [
    dict(type="RandomCrop", size=32, padding=2),
    dict(type="ToTensor"),
    dict(type="Normalize", mean=[0.5] * 3, std=[0.25] * 3),
]
test_pipeline = [
    dict(type="ToTensor"),
    dict(type="Normalize", mean=[0.5] * 3, std=[0.25] * 3),
]
scenario = dict(
    type="CLEAR",
    dataset_root="data/clear_demo",
    generate=dict(type="ClearData", classes=5, buckets=4, images=40),
    evaluation_protocol="iid",
    seed=0,
    train_transform=train_pipeline,
    eval_transform=test_pipeline,
)
metrics = [dict(type="accuracy_metrics", epoch=True, experience=True, stream=True)]
