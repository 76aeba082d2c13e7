"""The demo; before each data set the encoder is pretrained on its images without scores.

python train_config.py config/demo_label_free.py    # mSRCC 0.881 with seed 0 (0.900 without)
"""

_base_ = ["demo.py"]
pretraining = dict(
    type="LabelFreePretraining",
    epochs=2,
    batch_size=4,
    crop_size=64,
    families=["blur", "jpeg", "noise"],
    lr_encoder=1e-3,
    lr_projection=1e-3,
)
cl_strategy = dict(plugins=[pretraining])
