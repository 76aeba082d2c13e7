"""Pretraining on the demo's training images without scores: ranking of blur, JPEG and noise.

python train_config.py config/qualiclip_demo.py

Then python train_config.py config/demo_pretrained.py fine-tunes from the encoder.
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/pretraining/qualiclip.py",
]
pretrain = dict(
    data=dict(crop_size=64, families=["blur", "jpeg", "noise"], held_out=40),
    epochs=6,
    batch_size=4,
    lr_encoder=1e-3,
    lr_projection=1e-3,
)
