"""CLEAR with generated images in its file layout, joint training: the upper bound.

python train_config.py config/clear_demo_joint.py
"""

_base_ = ["clear_demo_naive.py"]
cl_strategy = dict(type="JointTraining")
