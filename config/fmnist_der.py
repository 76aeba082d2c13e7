"""Split Fashion-MNIST with DER++: 200 images and what the model answered to them.

python train_config.py config/fmnist_der.py --cfg-options scenario.download=True
"""

_base_ = [
    "_base_/datasets/fashion_mnist.py",
    "_base_/models/small_conv_net.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="DER", mem_size=200, alpha=0.1, beta=0.5)
num_workers = 0  # the images are in memory
