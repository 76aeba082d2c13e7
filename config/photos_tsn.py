"""Degraded photographs with normalization layers and heads per data set, and a gate.

python train_config.py config/photos_tsn.py --cfg-options scenario.generate.photos=PHOTOS

Add cl_strategy.inference=oracle for the upper bound (known data sets), or cl_strategy.gate=kmeans
for the published gate.
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(
    type="TaskSpecificParts", parts=["norm", "head"], shared="first", inference="gate"
)
