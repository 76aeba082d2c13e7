"""Where decoded and resized images are kept: in memory that processes share, or in a file.

`choose` estimates what a data set takes and says where it goes.
"""
