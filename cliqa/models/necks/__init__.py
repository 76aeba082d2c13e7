"""Necks of the HyperIQA family: from feature maps of several depths to vectors.

mmpretrain's necks, such as ``GlobalAveragePooling``, work too and are found by their names.
"""
