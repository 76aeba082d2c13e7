"""Checks of plain values: each returns what it expects where a value does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Check = Callable[[Any], "str | None"]
"""Returns the expected value if a value does not fit, else None."""


def expect(words: str, fits: Callable[[Any], bool]) -> Check:
    """Return the check whether a value fits; `words` say what is expected.

    >>> expect("a number", lambda value: isinstance(value, int))("one")
    'a number'
    """
    return lambda value: None if fits(value) else words


def list_of(kind: type) -> Callable[[Any], bool]:
    """Return whether a value is a list of a kind."""
    return lambda value: (
        isinstance(value, (list, tuple)) and all(isinstance(item, kind) for item in value)
    )


def integer(least: int) -> Check:
    """Return the check for integers from `least` on."""
    return expect(
        f"an integer >= {least}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least,
    )


def or_none(check: Check) -> Check:
    """Return a check that lets None pass too."""

    def optional(value: object) -> str | None:
        expected = None if value is None else check(value)
        return expected and f"{expected} or None"

    return optional


A_DICT = expect("dict(...)", lambda value: isinstance(value, dict))
DICTS = expect("a list of dict(type='...')", list_of(dict))
TEXT = expect("a string", lambda value: isinstance(value, str) and value != "")
TEXTS = expect("a list of strings", list_of(str))
FLAG = expect("true or false", lambda value: isinstance(value, bool))
TEXT_OR_DICT = expect(
    "a path or dict(path=...)", lambda value: isinstance(value, dict) or TEXT(value) is None
)
PRECISION = expect(
    "true, false, 'bfloat16', 'float16' or 'auto'",
    lambda value: isinstance(value, bool) or value in ("bfloat16", "float16", "auto"),
)

EVERY = expect(
    "an integer >= 1 (epochs), dict(epochs=N) or dict(experiences=N)",
    lambda value: (
        integer(1)(value) is None
        or (
            isinstance(value, dict)
            and len(value) == 1
            and set(value) <= {"epochs", "experiences"}
            and all(integer(1)(count) is None for count in value.values())
        )
    ),
)
"""How often a state is written: see `cliqa.engine.work_dir.cadence`."""
