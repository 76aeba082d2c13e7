"""Degraded photographs with synaptic intelligence (SI).

python train_config.py config/photos_si.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="SI", strength=0.001903, normalize="mean")
