"""Averages of weights, over steps or over experiences.

An average is evaluated and kept in place of the trained weights.
"""
