"""EVA, AVA and KonIQ-10k in turn, a LoRA adapter for each; a gate selects it by the image.

python train_config.py config/iqa_lora.py --device cuda --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
cl_strategy = dict(type="LoRA", rank=8, mode="per_task", norm="train", inference="gate")
