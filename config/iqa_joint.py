"""Train on EVA, AVA and KonIQ-10k at once: the upper bound.

python train_config.py config/iqa_joint.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(type="JointTraining")
