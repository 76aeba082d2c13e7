"""The demo from the encoder of config/qualiclip_demo.py, in place of random weights.

python train_config.py config/demo_pretrained.py
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_cosine.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Replay", mem_size=100)
load_from = dict(path="work_dirs/qualiclip_demo/checkpoints/encoder.pth", drop=["head"])
num_workers = 0  # the images fit into memory
