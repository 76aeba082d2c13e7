"""Images that text-to-image models made: several of each prompt.

One more is in `cliqa.datasets.quality`: AGIQA-3K.
"""
