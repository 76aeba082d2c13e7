r"""CLEAR-100 bucket by bucket, fine-tuned.

python train_config.py config/clear100_naive.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/clear100_iid.py",
    "_base_/models/resnet50_classifier.py",
    "_base_/schedules/sgd_70e.py",
    "_base_/default_runtime.py",
]
model = dict(head=dict(num_classes=101))
cl_strategy = dict(type="Naive")
