"""fmnist_vit_replay.py with LoRA adapters on the network trained on the first two classes.

python train_config.py config/fmnist_vit_lora_replay.py --cfg-options scenario.download=True

On 900 images, seeds 0 1 2: class-IL 0.367, 0.367, 0.373, with 62,090 of 730,250 parameters trained.
"""

_base_ = ["fmnist_vit_replay.py"]
adapters = dict(type="LoRA", rank=8, mode="shared", first="full", norm="train")
cl_strategy = dict(plugins=[adapters])
