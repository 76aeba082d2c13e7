r"""CLEAR-10 by CLIP's text tower: ResNet-50 learns to fit its texts, with texts in the memory.

python train_config.py config/clear_clip_replay.py --device cuda \
    --cfg-options scenario.dataset_root=DATA model.text_encoder.pretrained=ViT-B-32.pt

Not run with CLIP's weights so far: nothing is claimed. clear_demo_clip.py is its small twin.
"""

_base_ = [
    "_base_/datasets/clear10_iid.py",
    "_base_/models/resnet50_clip_text.py",
    "_base_/schedules/sgd_70e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="TextReplay", mem_size=2000)
