"""Pretraining inside a continual stream, as a plugin.

Pretraining before a stream is a config of its own with a ``pretrain`` section; see
`cliqa.engine.pretrain`.
"""
