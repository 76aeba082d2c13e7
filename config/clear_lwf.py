r"""CLEAR-10 with the model before each bucket as a teacher (Li & Hoiem, 2016).

python train_config.py config/clear_lwf.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/clear10_iid.py",
    "_base_/models/resnet50_classifier.py",
    "_base_/schedules/sgd_70e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="LwF", alpha=4.0, temperature=2.0)
