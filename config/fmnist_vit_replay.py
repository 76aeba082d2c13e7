"""Split Fashion-MNIST with a small vision transformer and replay.

python train_config.py config/fmnist_vit_replay.py --cfg-options scenario.download=True

On 900 images (600 to learn), seeds 0 1 2: class-IL 0.500, 0.503, 0.397; the convolutions of
fmnist_replay.py learn more from so few: 0.767, 0.763, 0.727.
"""

_base_ = [
    "_base_/datasets/fashion_mnist.py",
    "_base_/models/small_vit.py",
    "_base_/schedules/adamw_15e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="Replay", mem_size=200, batch_size_mem=16)
num_workers = 0  # the images are in memory
