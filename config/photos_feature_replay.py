"""Degraded photographs with replay of 150 activations; no image is kept.

python train_config.py config/photos_feature_replay.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="FeatureReplay", layer="backbone.layer2", mem_size=150)
