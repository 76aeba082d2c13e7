r"""CLEAR-10 with O-LoRA: a network trained on the first bucket, and an adapter for each other.

python train_config.py config/clear_lora.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["clear_naive.py"]
cl_strategy = dict(type="LoRA", rank=8, mode="olora", orthogonality=0.5, first="full")
