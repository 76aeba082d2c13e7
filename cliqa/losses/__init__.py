"""Training losses for quality scores in 0..1 and for classes; torch's own are in `torch_losses`.

mmpretrain's are registered by `cliqa.models.mmpretrain_losses`, metrics are in `cliqa.evaluation`.
"""
