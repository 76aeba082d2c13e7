"""Everything at once: images and texts, replay, adapters, pruning, rounding, one small file.

python train_config.py config/fmnist_stack.py --cfg-options scenario.download=True
"""

_base_ = ["fmnist_stack_pruned.py"]
qat = dict(type="QAT", start_experience=1, exclude=["head", "text_encoder"])
cl_strategy = dict(plugins=[{{_base_.adapters}}, {{_base_.pruning}}, qat])
