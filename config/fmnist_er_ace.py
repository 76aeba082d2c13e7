"""Split Fashion-MNIST with ER-ACE: replay of 200 images with an asymmetric loss.

python train_config.py config/fmnist_er_ace.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_naive.py"]
cl_strategy = dict(type="ER_ACE", mem_size=200, batch_size_mem=16)
