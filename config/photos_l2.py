"""Degraded photographs with an L2 penalty on changes of the weights.

python train_config.py config/photos_l2.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="L2", strength=0.1)
