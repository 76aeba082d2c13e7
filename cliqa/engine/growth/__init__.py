"""Streams that grow: a run that goes on under a config that asks for more.

What a config may ask for is decided in `cliqa.engine.work_dir.config_growth`; the loop that trains
what is new is `cliqa.engine.experiment`, as for any run.
"""
