"""The generated CLEAR demo with an image-text model, and texts in the replay memory.

python train_config.py config/clear_demo_clip.py

Accuracy .938 in one run (seed 0); clear_demo.py, without texts, .925: no clear difference.
"""

_base_ = [
    "_base_/datasets/generated_clear.py",
    "_base_/models/small_image_text.py",
    "_base_/schedules/sgd_15e.py",
    "_base_/default_runtime.py",
]
model = dict(backbone=dict(in_channels=3), texts="painted_shapes", in_channels=1024)
cl_strategy = dict(type="TextReplay", mem_size=60)
num_workers = 0  # the images fit into memory
