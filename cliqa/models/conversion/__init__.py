"""Whole configs of mmpretrain as configs of cliqa.

`convert` reads one and writes ours, `parameter_rules` turns its ``paramwise_cfg`` into rules over
the model's parameters. Keys by themselves are in `cliqa.config.mmlab`.
"""
