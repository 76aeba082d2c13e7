"""The training loop: Avalanche's template made reproducible and resumable.

Batches, steps, schedules, precision, and selection of the best epoch. Methods are in
`cliqa.training.plugins`.
"""
