r"""CLEAR-10 with replay of earlier images.

python train_config.py config/clear_replay.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_naive.py"]
cl_strategy = dict(type="Replay", mem_size=2000)
