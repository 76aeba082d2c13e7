"""QualiCLIP-style pretraining of Swin-HyperIQA tiny on a folder of photographs without scores.

python train_config.py config/qualiclip_swin.py --device cuda \
    --cfg-options pretrain.data.root=PHOTOS
"""

_base_ = ["_base_/models/swin_hyperiqa.py", "_base_/pretraining/qualiclip.py"]
pretrain = dict(data=dict(root="data/photos"))
amp = True
