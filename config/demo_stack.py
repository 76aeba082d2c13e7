"""The demo with everything for small devices: replay, adapters, pruning, rounding, one file.

python train_config.py config/demo_stack.py
"""

_base_ = ["demo_hardware_aware.py"]
adapters = dict(type="LoRA", rank=8, first="full", norm="train")
cl_strategy = dict(plugins=[{{_base_.pruning}}, adapters, {{_base_.qat}}])
deploy = dict(backends=["onnxruntime"])
