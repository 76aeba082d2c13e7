"""Split Fashion-MNIST with DER++: a replay memory of 200 images with the model's outputs.

python train_config.py config/fmnist_der.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_naive.py"]
cl_strategy = dict(type="DER", mem_size=200, alpha=0.1, beta=0.5)
