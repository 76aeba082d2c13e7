"""Split Fashion-MNIST with A-GEM: no gradient against that of 200 remembered images.

python train_config.py config/fmnist_agem.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_naive.py"]
cl_strategy = dict(type="AGEM", mem_size=200)
