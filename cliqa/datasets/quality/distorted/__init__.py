"""Images that were distorted on purpose: several versions of each reference image.

More of them are in `cliqa.datasets.quality`: KADID-10k, TID2013, CSIQ and LIVE.
"""
