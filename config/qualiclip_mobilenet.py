"""QualiCLIP-style pretraining of the light MobileNetV3 on a folder of photographs without scores.

python train_config.py config/qualiclip_mobilenet.py --device cuda \
    --cfg-options pretrain.data.root=PHOTOS
"""

_base_ = ["_base_/pretraining/qualiclip.py"]
model = dict(type="LightweightModel", backbone="mobilenet_v3_small", pretrained=True)
pretrain = dict(data=dict(root="data/photos"), batch_size=16)
amp = True
