"""Files of scores that are not finished: whose rows they hold, and which of them are whole.

`cliqa.inference.scores` writes the tables themselves. Nothing here imports torch.
"""
