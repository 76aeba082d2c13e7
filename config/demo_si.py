"""The demo with synaptic intelligence (SI).

python train_config.py config/demo_si.py
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(type="SI", strength=1000.0)
