"""Zhang et al. (TPAMI 2023): LIVE, CSIQ, BID, LIVE-C, KonIQ-10k, KADID-10k; a head for each.

python train_config.py config/iqa_biqa_cl.py --device cuda --cfg-options scenario.dataset_root=DATA

The authors' schedule: three epochs of the new head, six of the whole network at a tenth and a
hundredth of the rate, the weights of the best validation epoch. They have a bilinear network, which
also gates, and draw pairs of images; here it is a ResNet-18, and all pairs among 32 images.
"""

_base_ = [
    "_base_/datasets/biqa_cl.py",
    "_base_/models/resnet18_unit.py",
    "_base_/schedules/adam_fidelity_9e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="MultiHead", strength=10.0, sigma=1.0, warmup_epochs=3, gate="kmeans")
