"""Loggers for a config's ``loggers`` list; their files go into the work_dir.

Text, CSV, progress bar, TensorBoard, Weights & Biases, and Avalanche's others by their names. A
logger that fails is reported once and cannot stop a run.
"""
