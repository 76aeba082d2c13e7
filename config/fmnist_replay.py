"""Split Fashion-MNIST with a memory of 200 images, half a batch of them beside every new one.

python train_config.py config/fmnist_replay.py --cfg-options scenario.download=True
"""

_base_ = [
    "_base_/datasets/fashion_mnist.py",
    "_base_/models/small_conv_net.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Replay", mem_size=200, batch_size_mem=16)
num_workers = 0  # the images are in memory
