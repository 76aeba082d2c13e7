"""Commands about data sets: ``cliqa data`` checks, writes, generates, shows and selects.

Not here: how files are read and written (`cliqa.datasets`), and what is generated
(`cliqa.demo_data`).
"""
