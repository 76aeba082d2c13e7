"""Loggers, checkpoints and the seed of every run."""

loggers = [dict(type="ProgressBar"), dict(type="TextLogger"), dict(type="CSVLogger")]
checkpoint_config = dict(interval=None)  # keep the end of every experience; N: every N epochs too
num_workers = "auto"  # processes that read images; their number changes no sample
progress_seconds = 30  # a line of progress after so many silent seconds; 0: none
seed = 0
