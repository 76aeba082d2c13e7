"""CLEAR with generated images in its file layout, learned with replay.

python train_config.py config/clear_demo.py
"""

_base_ = ["clear_demo_naive.py"]
cl_strategy = dict(type="Replay", mem_size=60)
