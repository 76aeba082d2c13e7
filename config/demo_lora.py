"""The demo with LoRA: the first data set trains the network, each later one an adapter.

python train_config.py config/demo_lora.py

A gate selects the adapter for each image. Add
--cfg-options cl_strategy.inference=oracle for the upper bound (known data sets).
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(
    type="LoRA", rank=8, mode="per_task", first="full", norm="train", inference="gate"
)
