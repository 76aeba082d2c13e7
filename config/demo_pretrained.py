"""The demo, initialized with the encoder of config/qualiclip_demo.py.

python train_config.py config/demo_pretrained.py
"""

_base_ = ["demo.py"]
load_from = dict(path="work_dirs/qualiclip_demo/checkpoints/encoder.pth", drop=["head"])
