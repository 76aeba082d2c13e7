"""Tools without a domain: errors, files and checkpoints, paths, logging, seeds, devices, cli.

Nothing here knows data sets, models or configs: see `cliqa.config` for configs.
"""
