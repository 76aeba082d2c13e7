r"""CLEAR-10, all buckets at once (joint training): the upper bound.

python train_config.py config/clear_joint.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_naive.py"]
cl_strategy = dict(type="JointTraining")
