"""Degraded photographs with replay of 150 images, a tenth of the stream's, of all scores alike.

python train_config.py config/photos_replay.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="Replay", mem_size=150, selection="score_balanced")
