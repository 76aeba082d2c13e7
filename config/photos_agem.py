"""Degraded photographs with A-GEM: no gradient against that of 150 remembered images.

python train_config.py config/photos_agem.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="AGEM", mem_size=150)
