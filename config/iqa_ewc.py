"""EVA, AVA and KonIQ-10k in turn with elastic weight consolidation (EWC).

Kirkpatrick et al., PNAS 2017.

python train_config.py config/iqa_ewc.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(type="EWC", strength=1e4)
