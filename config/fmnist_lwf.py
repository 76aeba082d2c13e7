"""Split Fashion-MNIST with the model before each experience as its teacher.

python train_config.py config/fmnist_lwf.py --cfg-options scenario.download=True
"""

_base_ = [
    "_base_/datasets/fashion_mnist.py",
    "_base_/models/small_conv_net.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="LwF", alpha=4.0, temperature=2.0)
num_workers = 0  # the images are in memory
