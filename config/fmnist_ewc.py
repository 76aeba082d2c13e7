"""Split Fashion-MNIST with the weights held that the likelihood depends on most (EWC).

One head for all classes forgets the earlier ones all the same; what is kept shows in task-IL.

python train_config.py config/fmnist_ewc.py --cfg-options scenario.download=True
"""

_base_ = [
    "_base_/datasets/fashion_mnist.py",
    "_base_/models/small_conv_net.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="EWC", strength=100.0, normalize="max")
num_workers = 0  # the images are in memory
