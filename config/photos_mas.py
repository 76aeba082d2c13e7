"""Degraded photographs with memory aware synapses (MAS).

python train_config.py config/photos_mas.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="MAS", strength=0.001672, normalize="mean", importance_power=0.5)
