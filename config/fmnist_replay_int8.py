"""fmnist_replay.py, followed by compression to 8-bit and 16-bit files with measured results.

python train_config.py config/fmnist_replay_int8.py --cfg-options scenario.download=True

On 900 images (as in the README), one thread of an AMD EPYC, half a minute: INT8 is 2.2 times
smaller, 2.9 times faster than PyTorch, 0.9 times as fast as ONNX Runtime in float32; accuracy 0.770
(0.767 in float32).
"""

_base_ = ["fmnist_replay.py"]
deploy = dict(target="size", budget=dict(max_drop=0.01), backends=["onnxruntime"])
