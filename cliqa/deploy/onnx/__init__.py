"""ONNX: export, quantization, half precision, and checks of the files.

Needs the optional packages onnx and onnxruntime, which are imported when used.
"""
