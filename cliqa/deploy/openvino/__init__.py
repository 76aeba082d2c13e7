"""OpenVINO: models as its own files, in float32, bfloat16 or int8.

Needs the optional packages openvino and nncf, which are imported when used.
"""
