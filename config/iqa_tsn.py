"""EVA, AVA and KonIQ-10k in turn: frozen convolutions, separate norms and heads per data set.

python train_config.py config/iqa_tsn.py --device cuda --cfg-options scenario.dataset_root=DATA

TSN-IQA (Zhang et al., IEEE TIP 2024) with its gate: 128 k-means centroids a data set, weights by
softmin of 32 times the distance. cl_strategy.gate=lda chooses the gate that is better on
photographs (docs/how-to/methods.md).
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(
    type="TaskSpecificParts",
    parts=["norm", "head"],
    shared="frozen",
    inference="gate",
    gate="kmeans",
)
