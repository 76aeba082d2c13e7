"""Yes or no, as people write it."""

from __future__ import annotations

from typing import Any

WORDS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
"""The words that mean True or False, in any case."""


def as_flag(value: Any) -> Any:  # noqa: ANN401
    """Return what a word or a 0 or 1 means as a truth value, and anything else as it is.

    >>> as_flag("No"), as_flag(1), as_flag("maybe")
    (False, True, 'maybe')
    """
    if isinstance(value, str):
        return WORDS.get(value.strip().lower(), value)
    return bool(value) if type(value) is int and value in (0, 1) else value
