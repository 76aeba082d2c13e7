"""Config files: inheritance, command-line options, sections, and checks of names and arguments.

A config becomes plain nested dicts and lists here; nothing is built. Components are built by
`cliqa.engine` through `cliqa.registry`.
"""
