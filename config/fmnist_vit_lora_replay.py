"""fmnist_vit_replay.py with LoRA adapters on the network trained on the first two classes.

python train_config.py config/fmnist_vit_lora_replay.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_vit_replay.py"]
adapters = dict(type="LoRA", rank=8, mode="shared", first="full", norm="train")
cl_strategy = dict(plugins=[adapters])
