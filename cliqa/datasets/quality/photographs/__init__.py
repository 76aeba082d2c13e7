"""Photographs with the faults that cameras and people make.

More of them are in `cliqa.datasets.quality`: KonIQ-10k, SPAQ, LIVE in the Wild, BID, EVA and AVA.
"""
