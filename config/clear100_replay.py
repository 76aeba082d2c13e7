r"""CLEAR-100 with replay of earlier images.

python train_config.py config/clear100_replay.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear100_naive.py"]
cl_strategy = dict(type="Replay", mem_size=5000)
