"""The demo with an L2 penalty on changes of the weights.

python train_config.py config/demo_l2.py
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(type="L2", strength=0.1)
