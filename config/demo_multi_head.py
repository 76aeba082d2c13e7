"""The demo with a head per data set over a trunk that goes on learning, and a gate.

python train_config.py config/demo_multi_head.py
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(type="MultiHead", strength=3.0, distill="mse", inference="gate")
