r"""CLEAR-10 with five images per class and bucket: a cosine head on a frozen backbone.

python tools/clear_dataset.py fewshot DATA --shot 5 --seed 0
python train_config.py config/clear_fewshot_cosine.py --device cuda \
    --cfg-options scenario.dataset_root=DATA load_from.path=RESNET50.pth
"""

_base_ = ["clear_naive.py"]
scenario = dict(shot=5)
model = dict(head=dict(_delete_=True, type="CosineClsHead", num_classes=11, in_channels=2048))
load_from = dict(path="resnet50.pth", drop=["head"], freeze=["backbone"])
