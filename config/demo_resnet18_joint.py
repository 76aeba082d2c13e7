"""The full ResNet-18 cosine model, trained jointly on the demo's data sets.

python train_config.py config/demo_resnet18_joint.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
model = dict(pretrained=False)
cl_strategy = dict(type="JointTraining")
num_workers = 0  # the images fit into memory
