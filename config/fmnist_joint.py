"""Split Fashion-MNIST, all classes at once (joint training): the upper bound.

python train_config.py config/fmnist_joint.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_naive.py"]
cl_strategy = dict(type="JointTraining")
