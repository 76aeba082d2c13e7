"""EVA, AVA and KonIQ-10k in turn: frozen convolutions, separate norms and heads per data set.

python train_config.py config/iqa_tsn.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(
    type="TaskSpecificParts", parts=["norm", "head"], shared="frozen", inference="gate"
)
