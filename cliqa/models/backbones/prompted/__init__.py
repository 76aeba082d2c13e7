"""Frozen vision transformers with learnt prompts.

A prompt is a token beside the image's (`prompted_transformer`) or a prefix of a block's keys and
values (`dual_prompt_transformer`, `coda_prompt_transformer`). The plugins of the same names in
`cliqa.training.plugins.prompts` train them.
"""
