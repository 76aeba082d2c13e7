"""EVA, AVA and KonIQ-10k in turn with synaptic intelligence (SI).

Zenke et al., ICML 2017.

python train_config.py config/iqa_si.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(type="SI", strength=1000.0)
