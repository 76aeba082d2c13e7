"""QualiCLIP-style pretraining of HyperIQA's ResNet-50 on a folder of photographs without scores.

python train_config.py config/qualiclip_resnet50.py --device cuda \
    --cfg-options pretrain.data.root=PHOTOS
"""

_base_ = ["_base_/models/hyperiqa.py", "_base_/pretraining/qualiclip.py"]
pretrain = dict(data=dict(root="data/photos"))
amp = True
