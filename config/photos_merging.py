"""Degraded photographs; after each data set the weights are merged, weighted by their Fisher.

python train_config.py config/photos_merging.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="ModelMerging", method="fisher")
