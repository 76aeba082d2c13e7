"""The demo, its encoder pretrained on every data set's images before their scores are learnt.

python train_config.py config/demo_label_free.py    # mSRCC 0.881 with seed 0 (0.900 without)
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
pretraining = dict(
    type="LabelFreePretraining",
    epochs=2,
    batch_size=4,
    crop_size=64,
    families=["blur", "jpeg", "noise"],
    lr_encoder=1e-3,
    lr_projection=1e-3,
)
cl_strategy = dict(type="Replay", mem_size=100, plugins=[pretraining])
num_workers = 0  # the images fit into memory
