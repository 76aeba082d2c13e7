r"""CLEAR-10 with an L2 penalty on changes of the weights.

python train_config.py config/clear_l2.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_naive.py"]
cl_strategy = dict(type="L2", strength=0.01, anchor="last")
