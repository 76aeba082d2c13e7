"""QualiCLIP-style pretraining of a small network on a folder of photographs: two minutes on a CPU.

python train_config.py config/qualiclip_small.py --cfg-options pretrain.data.root=PHOTOS
"""

_base_ = ["_base_/pretraining/qualiclip.py"]
model = dict(
    type="QualityModel",
    backbone=dict(type="SmallConvNet", in_channels=3, channels=(16, 32, 64, 64), norm="BN"),
    head=dict(type="LinearScoreHead", in_channels=64),
)
pretrain = dict(
    data=dict(root="data/photos", crop_size=64, families=["blur", "jpeg", "noise"], held_out=0.33),
    epochs=90,
    batch_size=4,
    lr_encoder=1e-3,
    lr_projection=1e-3,
)
num_workers = 0
