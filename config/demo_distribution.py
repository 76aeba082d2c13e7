"""The demo with replay and shares of ten quality levels, learnt from those of the raters (NIMA).

python train_config.py config/demo_distribution.py
"""

_base_ = ["demo.py"]
model = dict(head=dict(_delete_=True, type="LevelScoreHead", in_channels=128, levels=10))
cl_strategy = dict(loss=dict(_delete_=True, type="EMDLoss", levels=10))
