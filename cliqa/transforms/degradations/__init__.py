"""Synthetic degradations, each a ladder of levels with a rising error.

Used for pretraining without labels and for rankings of degraded images. The distortions of the
demo data are in `cliqa.demo_data`.
"""
