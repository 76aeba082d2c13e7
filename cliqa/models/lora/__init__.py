"""Low-rank adapters of a model's layers (Hu et al., 2022).

Training them over a stream is in `cliqa.training.plugins.isolation.lora`.
"""
