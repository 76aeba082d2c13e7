"""Labels under a budget: which images of a new data set are worth one.

No label is read here, and nothing is trained.
"""
