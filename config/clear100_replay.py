r"""CLEAR-100 with a memory of earlier images.

python train_config.py config/clear100_replay.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/clear100_iid.py",
    "_base_/models/resnet50_classifier.py",
    "_base_/schedules/sgd_70e.py",
    "_base_/default_runtime.py",
]
model = dict(head=dict(num_classes=101))
cl_strategy = dict(type="Replay", mem_size=5000)
