"""Folders of quality data sets on a disk: which set one holds, what is in it, and as one csv file.

`known` recognises a set by the readers of `cliqa.datasets.quality`, `report` says what is in it,
`convert` writes it for the generic reader.
"""
