"""EVA, AVA and KonIQ-10k in turn with HyperIQA and replay.

python train_config.py config/iqa_hyperiqa_replay.py --cfg-options scenario.dataset_root=DATA
"""

_base_ = [
    "_base_/datasets/eva_ava_koniq.py",
    "_base_/models/hyperiqa.py",
    "_base_/schedules/adam_16e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Replay", mem_size=1000, train_mb_size=32, train_epochs=10)
amp = "bfloat16"
