r"""CLEAR-10 with the first bucket's network and adapters for the others, which are added up.

python train_config.py config/clear_lora.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/clear10_iid.py",
    "_base_/models/resnet50_classifier.py",
    "_base_/schedules/sgd_70e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="LoRA", rank=8, mode="olora", orthogonality=0.5, first="full")
