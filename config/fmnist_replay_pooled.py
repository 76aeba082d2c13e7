"""Split Fashion-MNIST with average pooling of the regions that fmnist_fusion_replay.py uses.

python train_config.py config/fmnist_replay_pooled.py --cfg-options scenario.download=True

The control experiment for fusion: the same map of 9 regions with 64 channels, without texts.
fmnist_replay.py uses all 576 values of the map.
On 600 real images to learn and 300 to test, seeds 0 to 2: accuracy .521, task-IL .932.
It trains slowly: on seeds 3 and 4 .588, and .687 with twice the epochs.
"""

_base_ = [
    "_base_/datasets/fashion_mnist.py",
    "_base_/models/small_conv_net_pooled.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Replay", mem_size=200, batch_size_mem=16)
num_workers = 0  # the images are in memory
