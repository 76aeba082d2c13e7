r"""CLEAR-10 with A-GEM (Chaudhry et al., 2019), Avalanche's own.

python train_config.py config/clear_agem.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_naive.py"]
cl_strategy = dict(type="AGEM", patterns_per_exp=256, sample_size=256)
