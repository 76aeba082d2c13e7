"""EVA, AVA and KonIQ-10k in turn with learning without forgetting (LwF).

python train_config.py config/iqa_lwf.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(type="LwF", alpha=1.0, distill="mse")  # or "fidelity", for pairs of images
