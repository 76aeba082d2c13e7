r"""CLEAR-10 bucket by bucket, fine-tuned: the lower bound.

python train_config.py config/clear_naive.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/clear10_iid.py",
    "_base_/models/resnet50_classifier.py",
    "_base_/schedules/sgd_70e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Naive")
