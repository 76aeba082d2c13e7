"""Degraded photographs with DER++: 150 images and the model's outputs for them.

python train_config.py config/photos_der.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="DER", mem_size=150, alpha=1.0, beta=0.5)
