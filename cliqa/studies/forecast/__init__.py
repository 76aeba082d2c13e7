"""What a study will cost before it starts: hours, memory and disk, from a few measured steps.

`measured` times the strategy of each config on a few batches, `stand_in` takes the place of data
that are missing, `cost` multiplies, and `report` writes the table and says what the limit is.
"""
