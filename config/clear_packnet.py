r"""CLEAR-10 with PackNet: separate weights for each bucket.

python train_config.py config/clear_packnet.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_naive.py"]
cl_strategy = dict(type="PackNet", inference="gate")
