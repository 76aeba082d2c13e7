"""Pretraining on the degraded photographs of all three data sets, without their scores.

python train_config.py config/qualiclip_photos.py --cfg-options scenario.generate.photos=PHOTOS

Then python train_config.py config/photos_label_free.py reads the encoder out.
"""

_base_ = [
    "_base_/datasets/photos.py",
    "_base_/models/small_conv_net_levels.py",
    "_base_/pretraining/qualiclip.py",
]
pretrain = dict(
    data=dict(crop_size=64, families=["blur", "jpeg", "noise"], held_out=40),
    epochs=1,
    batch_size=4,
    lr_encoder=1e-3,
    lr_projection=1e-3,
)
num_workers = 0
