"""Models: backbones, necks, heads, and complete models built from them.

Image-text models are in `language`, HyperIQA in `hyperiqa`, adapters in `lora`, loading in
`weights`. Training them is in `cliqa.training`, export and quantization in `cliqa.deploy`.
"""
