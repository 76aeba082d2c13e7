"""Loggers for a config's ``loggers`` list; their files go into the work_dir."""
