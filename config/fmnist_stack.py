"""Everything at once: images and texts, replay, adapters, pruning, rounding, one small file.

python train_config.py config/fmnist_stack.py --cfg-options scenario.download=True

The first two classes train the whole network and half of its image encoder's channels go; adapters
then learn the others with replay and rounding. On 900 images, seeds 0 to 2: accuracy .560 in a file
of 0.13 MiB; without rounding (fmnist_stack_pruned.py) .616. The steps: docs/results.md.
"""

_base_ = ["fmnist_stack_pruned.py"]
qat = dict(type="QAT", start_experience=1, exclude=["head", "text_encoder"])
cl_strategy = dict(plugins=[{{_base_.adapters}}, {{_base_.pruning}}, qat])
