"""The demo with separate normalization layers and heads for each data set, and a gate.

python train_config.py config/demo_tsn.py
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(
    type="TaskSpecificParts", parts=["norm", "head"], shared="first", inference="gate"
)
