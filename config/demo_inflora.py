"""The demo with InfLoRA: adapters that do not change the outputs for earlier images.

python train_config.py config/demo_inflora.py

No adapter is selected at test time; only the principal directions of the inputs are stored. The
head has adapters like any other layer: a freely trained head forgets what they protect.
A minute on a core; mSRCC 0.591 / 0.749 / 0.630 for the seeds 0 / 1 / 2.
"""

_base_ = ["demo_naive.py"]
cl_strategy = dict(type="LoRA", rank=8, mode="inflora", measure="inputs", first="full", heads=[])
