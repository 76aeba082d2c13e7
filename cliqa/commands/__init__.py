"""The command lines: ``cliqa COMMAND``, and what the scripts of ``tools/`` start.

Each module is one command: `parse_args` reads its arguments, and `main` does its work with what
the other rooms offer. `main.py` is the command ``cliqa``, with the table of all others, and
`studies/plans.py` what the commands of studies share. Not here: anything that a user of the Python
API may need too.
"""
