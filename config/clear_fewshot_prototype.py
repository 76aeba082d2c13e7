r"""CLEAR-10 with five images per class and bucket: the nearest class mean of frozen features.

python tools/clear_dataset.py fewshot DATA --shot 5 --seed 0
python train_config.py config/clear_fewshot_prototype.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/clear10_iid.py",
    "_base_/models/resnet50_imagenet_prototypes.py",
    "_base_/schedules/one_pass.py",
    "_base_/default_runtime.py",
]
scenario = dict(shot=5)
