r"""CLEAR-10, each bucket trained together with all earlier ones.

python train_config.py config/clear_cumulative.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_naive.py"]
cl_strategy = dict(type="Cumulative")
