"""The demo with an EfficientNet-Lite0 of ImageNet weights: plain fine-tuning.

python train_config.py config/demo_pretrained_imagenet.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/efficientnet_lite0.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]

normalize = dict(type="Normalize", mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])  # the weights' own

scenario = dict(
    train_transform=[
        dict(type="RandomCrop", size=88),
        dict(type="RandomHorizontalFlip", p=0.5),
        dict(type="ToTensor"),
        normalize,
    ],
    eval_transform=[dict(type="CenterCrop", size=96), dict(type="ToTensor"), normalize],
)
cl_strategy = dict(train_epochs=4, optimizer=dict(paramwise=[dict(match="backbone", lr_mult=0.1)]))
num_workers = 0  # the images fit into memory
