"""The HyperIQA family: models whose last layers are predicted for each image.

HyperIQA (Su et al., CVPR 2020), MS-HyperIQA and Swin-HyperIQA.
"""
