"""Split Fashion-MNIST with replay of 200 activations; no image is kept.

python train_config.py config/fmnist_feature_replay.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_naive.py"]
cl_strategy = dict(type="FeatureReplay", layer="backbone.blocks.1", mem_size=200, batch_size_mem=16)
