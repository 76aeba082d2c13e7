"""EVA, AVA and KonIQ-10k in turn with memory aware synapses (MAS).

Aljundi et al., ECCV 2018.

python train_config.py config/iqa_mas.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(type="MAS", strength=10.0)
