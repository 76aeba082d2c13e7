"""EVA, AVA and KonIQ-10k in turn with rehearsal on synthetic degradations: no image is kept.

python train_config.py config/iqa_ladder.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(type="LadderRehearsal", strength=5.0)
