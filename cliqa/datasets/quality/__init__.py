"""Image quality data sets, read from their official files.

One data set per file; a user's own images and scores are read by `score_file`.
"""
