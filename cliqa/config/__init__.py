"""Config files: inheritance, command-line options, sections, names and arguments of components.

A config becomes plain nested dicts and lists here, and is checked; nothing is built. Components are
built by `cliqa.registry` and `cliqa.engine`.
"""
