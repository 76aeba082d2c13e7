"""From a misspelt name to the one that was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that looks most like `name`, whatever the case, or None.

    Args:
        name: What was written.
        known: What could have been meant.
        cutoff: Least similarity (`difflib`'s ratio), 0..1.

    >>> nearest("SDG", ["SGD", "Adam"])
    'SGD'
    >>> nearest("Adagrad", ["SGD", "RMSprop"]) is None
    True
    """
    folded = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=cutoff)
    return folded[near[0]] if near else None


def closest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'X'?" for the known name nearest to `name`, or nothing."""
    near = nearest(name, known)
    return f" Did you mean '{near}'?" if near else ""


def listed(names: Iterable[str], most: int = 20) -> str:
    """Return names in a row, and how many more there are.

    >>> listed("abc"), listed("abc", most=2)
    ('a, b, c', 'a, b and 1 more')
    """
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def misspelt(name: str, known: Iterable[str], cutoff: float = 0.85) -> str | None:
    """Return the name that `name` is surely a slip of, or None.

    Stricter than `nearest`, for places where a new name may be meant: names that differ in their
    digits alone (``layer1``, ``layer2``) are two names, not a slip.

    >>> misspelt("train_epoch", ["train_epochs", "train_mb_size"])
    'train_epochs'
    >>> misspelt("loss_weight2", ["loss_weight1"]) is None
    True
    """
    known = [candidate for candidate in known if _letters(candidate) != _letters(name)]
    return nearest(name, known, cutoff)


def _letters(name: str) -> str:
    """Return `name` with every number replaced by one mark; case kept."""
    return re.sub(r"\d+", "#", name)
