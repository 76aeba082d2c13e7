"""A head per photo set over a trunk that goes on learning, earlier heads as teachers, a gate.

python train_config.py config/photos_multi_head.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="MultiHead", strength=3.0, distill="mse", inference="gate")
