"""The training loop: Avalanche's template made repeatable and resumable.

Batches, steps, schedules, precision, and selection of an epoch. Methods are in
`cliqa.training.plugins`.
"""
