"""All degraded photographs at once (joint training): the upper bound of the network from scratch.

python train_config.py config/photos_joint.py --cfg-options scenario.generate.photos=PHOTOS
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(type="JointTraining")
