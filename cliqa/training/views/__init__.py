"""Task-specific views of a model, and how a view is chosen in evaluation (last, oracle, gate).

Used by PackNet, LoRA and task-specific parts in `cliqa.training.plugins`.
"""
