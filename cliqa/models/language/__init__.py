"""Image-text models (CLIP-like), text encoders, and the candidate texts.

The texts that come with the package are in the folder ``texts``. Heads that compare images with
texts are in `cliqa.models.heads`.
"""
