"""Eight bits in ONNX files: how a graph is prepared, calibrated and quantized.

`quantization` is the way in; the other modules are its steps.
"""
