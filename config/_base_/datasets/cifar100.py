"""CIFAR-100 in ten experiences of ten classes, from torchvision's folder."""

_base_ = ["./cifar10.py"]

scenario = dict(type="SplitCIFAR100")
