"""The demo with elastic weight consolidation (EWC).

python train_config.py config/demo_ewc.py
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(type="EWC", strength=1e4)
