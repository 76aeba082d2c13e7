r"""CLEAR-10 with learning without forgetting (Li & Hoiem, 2016).

python train_config.py config/clear_lwf.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_naive.py"]
cl_strategy = dict(type="LwF", alpha=4.0, temperature=2.0)
