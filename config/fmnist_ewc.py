"""Split Fashion-MNIST with elastic weight consolidation (EWC).

The shared head still forgets the earlier classes; EWC's effect shows in task-IL accuracy.

python train_config.py config/fmnist_ewc.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_naive.py"]
cl_strategy = dict(type="EWC", strength=100.0, normalize="max")
