"""EVA -> AVA -> KonIQ in the official layouts, of degraded photographs of one's own.

Each data set has photographs and distortions of its own: blur; noise; contrast and JPEG. A score
is the measured similarity to the undistorted photograph. Set ``scenario.generate.photos`` to a
folder of some 60 photographs.
"""

_base_ = ["./generated_eva_ava_koniq.py"]

scenario = dict(
    dataset_root="data/photos",
    generate=dict(type="DemoData", photos="data/photographs"),
)
