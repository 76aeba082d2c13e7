"""The second step of fmnist_stack.py: adapters in the image encoder for all classes but two.

The text encoder trains as a whole: in an exported file it is a few constants.

python train_config.py config/fmnist_stack_lora.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_stack_replay.py"]
adapters = dict(type="LoRA", rank=16, first="full", heads=["head", "text_encoder"])
cl_strategy = dict(plugins=[adapters])
