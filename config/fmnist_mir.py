"""Split Fashion-MNIST with replay of those of 200 images that a step would harm most.

python train_config.py config/fmnist_mir.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_naive.py"]
cl_strategy = dict(type="MIR", mem_size=200, batch_size_mem=16)
