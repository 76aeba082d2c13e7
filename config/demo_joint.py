"""The demo with all data at once (joint training): the upper bound.

python train_config.py config/demo_joint.py
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(type="JointTraining")
