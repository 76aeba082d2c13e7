"""Painted images: the scenes of `DemoData` and the objects of `ClearData`.

Which scene a data set has, its distortions and its scores are set in `cliqa.demo_data`.
"""
