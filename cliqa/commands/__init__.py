"""The commands of cliqa: each module parses a command line and calls the package.

``tools/NAME.py`` starts each of them. Not here: anything that another module could need.
Nothing heavy is imported before a command line has been parsed.
"""
