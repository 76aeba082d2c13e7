"""The demo with everything for small devices: replay, adapters, pruning, rounding, one file.

python train_config.py config/demo_stack.py

The first data set trains the whole network and 30 % of its channels go; adapters (a tenth of the
parameters) then learn the others with replay and rounding. One to two minutes: mSRCC .862 +-.014
over seeds 0 to 2 in an eight-bit file of 0.50 MiB; with replay alone .897 in one of 0.88.
"""

_base_ = ["demo_hardware_aware.py"]
adapters = dict(type="LoRA", rank=8, first="full", norm="train")
cl_strategy = dict(plugins=[{{_base_.pruning}}, adapters, {{_base_.qat}}])
deploy = dict(backends=["onnxruntime"])
