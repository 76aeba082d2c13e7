r"""CLEAR-10 with elastic weight consolidation (Kirkpatrick et al., 2017).

python train_config.py config/clear_ewc.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_naive.py"]
cl_strategy = dict(type="EWC", strength=1.0, mode="online", normalize="max")
