"""Label files as other projects publish them: what their columns mean, by one word.

`layout` has the words, `known_sets` what is known of the data sets in such files, `split_file`
splits that lie in a file of their own, and `shape` what a text file's first rows tell.
"""
