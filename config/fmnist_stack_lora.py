"""The second step of fmnist_stack.py: adapters learn all classes but the first two.

python train_config.py config/fmnist_stack_lora.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_stack_replay.py"]
adapters = dict(type="LoRA", rank=16, mode="shared", first="full")
cl_strategy = dict(plugins=[adapters])
