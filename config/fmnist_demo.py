"""Split Fashion-MNIST with handwritten digits in its files, learned with replay: no download.

python train_config.py config/fmnist_demo.py
"""

_base_ = ["fmnist_demo_naive.py"]
cl_strategy = dict(type="Replay", mem_size=200)
