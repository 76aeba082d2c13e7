"""What `cliqa.training.plugins.lora.LoRA` is made of: options, modes, subspaces, parameters.

The adapters themselves are in `cliqa.models.lora.adapters`.
"""
