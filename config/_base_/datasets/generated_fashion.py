"""Handwritten digits in Fashion-MNIST's files, generated: five experiences of two classes."""

_base_ = ["fashion_mnist.py"]
scenario = dict(dataset_root="data/fashion_demo", generate=dict(type="FashionData"))
