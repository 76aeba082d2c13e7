"""EVA, AVA and KonIQ-10k in turn with replay.

python train_config.py config/iqa_replay.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(type="Replay", mem_size=1000, policy="experience_balanced")
