r"""EVA, AVA and KonIQ-10k with texts of five quality levels, and texts in the replay memory.

python train_config.py config/iqa_clip_replay.py --device cuda \
    --cfg-options scenario.dataset_root=DATA

Not measured on the real data sets so far. demo_clip_replay.py is the small version.
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/resnet18_levels.py",
    "_base_/schedules/adamw_10e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="TextReplay", mem_size=1000, policy="experience_balanced")
