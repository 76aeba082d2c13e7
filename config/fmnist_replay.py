"""Split Fashion-MNIST with replay of 200 images, 16 of them with each batch of 32 new ones.

python train_config.py config/fmnist_replay.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_naive.py"]
cl_strategy = dict(type="Replay", mem_size=200, batch_size_mem=16)
