"""The demo with learning without forgetting (LwF): distillation from the previous model.

python train_config.py config/demo_lwf.py
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(type="LwF", alpha=1.0)
