r"""Zhang et al. (TPAMI 2023) with their network: ResNet-18 and S-CNN, whose features also gate.

python train_config.py config/iqa_biqa_cl_dbcnn.py --device cuda \
    --cfg-options scenario.dataset_root=DATA model.backbone.branches.1.weights=SCNN

As iqa_biqa_cl.py otherwise. Without the published weights of the S-CNN its features are random.
"""

_base_ = [
    "_base_/datasets/biqa_cl.py",
    "_base_/models/dbcnn_resnet18_unit.py",
    "_base_/schedules/adam_fidelity_9e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(
    type="MultiHead",
    strength=10.0,
    sigma=1.0,
    warmup_epochs=3,
    gate=dict(name="kmeans", levels=["branches.1.features"]),
)
