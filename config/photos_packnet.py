"""PackNet on degraded photographs, and a gate that weighs the views of the data sets.

python train_config.py config/photos_packnet.py --cfg-options scenario.generate.photos=PHOTOS

Add cl_strategy.inference=oracle for the upper bound (known data sets).
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="PackNet", inference="gate")
