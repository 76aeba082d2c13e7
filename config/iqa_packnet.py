"""EVA, AVA and KonIQ-10k in turn with PackNet: separate weights for each data set.

python train_config.py config/iqa_packnet.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(type="PackNet", inference="gate")
