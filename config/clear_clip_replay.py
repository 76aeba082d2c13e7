r"""CLEAR-10 with CLIP's frozen text encoder, a ResNet-50, and texts in the replay memory.

python train_config.py config/clear_clip_replay.py --device cuda \
    --cfg-options scenario.dataset_root=DATA model.text_encoder.pretrained=ViT-B-32.pt

Not measured with CLIP's weights so far. clear_demo_clip.py is the small version.
"""

_base_ = [
    "_base_/datasets/clear10_iid.py",
    "_base_/models/resnet50_clip_text.py",
    "_base_/schedules/sgd_70e.py",
    "_base_/default_runtime.py",
]
cl_strategy = dict(type="TextReplay", mem_size=2000)
