"""The demo with rehearsal on synthetic degradations: no image is kept.

python train_config.py config/demo_ladder.py
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(type="LadderRehearsal", strength=5.0)
