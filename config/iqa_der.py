"""EVA, AVA and KonIQ-10k in turn with DER++: replay of images and of the model's outputs.

python train_config.py config/iqa_der.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(type="DER", mem_size=1000, alpha=1.0, beta=0.5)
