"""Split Fashion-MNIST with learning without forgetting (LwF).

python train_config.py config/fmnist_lwf.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_naive.py"]
cl_strategy = dict(type="LwF", alpha=4.0, temperature=2.0)
