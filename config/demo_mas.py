"""The demo with memory aware synapses (MAS).

python train_config.py config/demo_mas.py
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(type="MAS", strength=10.0)
