"""The HyperIQA family: models whose last layers are made for each image.

HyperIQA (Su et al., CVPR 2020), MS-HyperIQA and Swin-HyperIQA.
"""
