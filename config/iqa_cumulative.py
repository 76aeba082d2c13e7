"""Train on EVA, then EVA and AVA, then all three: the upper bound after each data set.

python train_config.py config/iqa_cumulative.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(type="Cumulative")
