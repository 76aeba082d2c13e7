"""Config files: inheritance, command-line options, sections, names and arguments of components.

A config becomes plain nested dicts and lists here, and is checked; nothing is built. Components are
built by `cliqa.registry` and `cliqa.engine`.
"""

__all__ = ["dump_config", "load_config"]


def __getattr__(name: str) -> object:
    """Return a function of `cliqa.config.load`, which is imported when it is used."""
    if name not in __all__:
        raise AttributeError(f"module 'cliqa.config' has no attribute '{name}'. It has {__all__}.")
    return getattr(__import__("cliqa.config.load", fromlist=[name]), name)
