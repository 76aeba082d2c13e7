r"""CLEAR-10 with A-GEM (Chaudhry et al., 2019): no gradient against that of the memory.

python train_config.py config/clear_agem.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_naive.py"]
cl_strategy = dict(type="AGEM", mem_size=2560, batch_size_mem=256)
