"""Painted images: scenes, objects and garments.

What is painted where, and its scores, is decided in `cliqa.demo_data`.
"""
