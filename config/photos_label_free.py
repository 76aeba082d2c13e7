"""Ridge regression on the frozen encoder of config/qualiclip_photos.py: few labels are enough.

python train_config.py config/photos_label_free.py --cfg-options scenario.generate.photos=PHOTOS \
    scenario.max_train=33
"""

_base_ = [
    "_base_/datasets/photos.py",
    "_base_/models/small_conv_net_levels.py",
    "_base_/schedules/ridge.py",
    "_base_/default_runtime.py",
]
model = dict(head=dict(_delete_=True, type="RidgeHead", in_channels=352))
cl_strategy = dict(align="affine")  # every data set has its own scale of scores
load_from = dict(path="work_dirs/qualiclip_photos/checkpoints/encoder.pth", drop=["head"])
num_workers = 0  # the images fit into memory
