"""The demo with PackNet: separate weights for each data set, and a gate that selects them.

python train_config.py config/demo_packnet.py

Add --cfg-options cl_strategy.inference=oracle for the upper bound (known data sets).
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(type="PackNet", inference="gate")
