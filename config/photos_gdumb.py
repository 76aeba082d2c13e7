"""Degraded photographs: after each set training from scratch on 150 images alone.

python train_config.py config/photos_gdumb.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="GDumb", mem_size=150)
