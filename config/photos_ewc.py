"""Degraded photographs with elastic weight consolidation (EWC).

python train_config.py config/photos_ewc.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="EWC", strength=1.483, normalize="mean", mode="single")
