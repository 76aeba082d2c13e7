"""Degraded photographs with rehearsal on synthetic degradations: no image is kept.

python train_config.py config/photos_ladder.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="LadderRehearsal", strength=5.0)
