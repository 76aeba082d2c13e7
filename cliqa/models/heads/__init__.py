"""Heads: from feature vectors to scores, logits or image-text similarities.

mmpretrain's heads work too. A head receives the tuple of feature vectors that the neck returns; see
`cliqa.models.heads.features`.
"""
