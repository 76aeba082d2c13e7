"""Split Fashion-MNIST: for every experience training from scratch on 200 images alone.

python train_config.py config/fmnist_gdumb.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_naive.py"]
cl_strategy = dict(type="GDumb", mem_size=200)
