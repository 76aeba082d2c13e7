"""Degraded photographs with learning without forgetting (LwF).

python train_config.py config/photos_lwf.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="LwF", alpha=1.233)
