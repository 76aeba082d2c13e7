"""Models that look different for each experience, and how a view is chosen at test time.

Used by PackNet, LoRA and task-specific parts in `cliqa.training.plugins`.
"""
