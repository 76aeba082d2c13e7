"""Loggers for a config's ``loggers`` list; their files go into the work_dir.

Text, CSV, TensorBoard, Weights & Biases, and Avalanche's others by their names; what a run says at
its start, its progress and the time left. A logger that fails is reported once and cannot stop a
run.
"""
