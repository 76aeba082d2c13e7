"""EVA, AVA and KonIQ-10k in turn with TOPIQ and replay.

python train_config.py config/iqa_topiq_replay.py --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/topiq.py",
    "_base_/schedules/adam_16e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Replay", mem_size=1000, train_mb_size=16, train_epochs=10)
amp = "bfloat16"
