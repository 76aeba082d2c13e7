"""LoRA on degraded photographs: the first data set trains the network, each later one an adapter.

python train_config.py config/photos_lora.py --cfg-options scenario.generate.photos=PHOTOS

A gate weighs the adapters for each image. Add cl_strategy.inference=oracle for the upper bound
(known data sets).
"""

_base_ = ["photos_naive.py"]
cl_strategy = dict(
    type="LoRA", rank=8, mode="per_task", first="full", norm="train", inference="gate"
)
