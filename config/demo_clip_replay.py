"""The demo with an image-text model of five quality levels, and texts in the replay memory.

python train_config.py config/demo_clip_replay.py

mSRCC .892 in one run (seed 0); demo.py, with a cosine score and no texts, .900.
"""

_base_ = [
    "_base_/datasets/generated_eva_ava_koniq.py",
    "_base_/models/resnet18_tiny_levels.py",
    "_base_/schedules/adamw_8e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="TextReplay", mem_size=100)
num_workers = 0  # the images fit into memory
