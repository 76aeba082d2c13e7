"""A run's model as data alone: the folder that is shared, written and read.

It holds the part of a checkpoint that predicts, in safetensors and JSON.
Not here: the card, the exported file and the Hub (`cliqa.hub`).
"""
