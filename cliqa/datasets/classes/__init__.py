"""Data sets of images with one class each: CIFAR, Fashion-MNIST, folders.

CLEAR, whose classes change over time, is in `cliqa.datasets.clear`.
"""
