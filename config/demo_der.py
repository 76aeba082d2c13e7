"""The demo with DER++: a replay memory of 100 images and the model's outputs for them.

python train_config.py config/demo_der.py
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(type="DER", mem_size=100, alpha=1.0, beta=0.5)
