r"""CLEAR-10, fine-tuned under the streaming protocol: tested on the next buckets.

python train_config.py config/clear_streaming.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/clear10_streaming.py",
    "_base_/models/resnet50_classifier.py",
    "_base_/schedules/sgd_70e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Naive")
