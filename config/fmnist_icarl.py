"""Split Fashion-MNIST with iCaRL: 200 exemplars by herding, nearest mean of exemplars.

python train_config.py config/fmnist_icarl.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_naive.py"]
cl_strategy = dict(type="ICaRL", mem_size=200, batch_size_mem=16)
