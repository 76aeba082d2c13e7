"""Degraded photographs with replay of those of 150 images that a step would harm most.

python train_config.py config/photos_mir.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="MIR", mem_size=150, candidates=64)
