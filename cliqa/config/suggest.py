"""Suggestions for misspelt names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name most similar to `name`, ignoring case, or None.

    Args:
        name: The unknown name.
        known: The known names.
        cutoff: Least similarity (`difflib`'s ratio), 0..1.

    >>> nearest("SDG", ["SGD", "Adam"])
    'SGD'
    >>> nearest("Adagrad", ["SGD", "RMSprop"]) is None
    True
    """
    folded = {candidate.lower(): candidate for candidate in sorted(known, reverse=True)}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=cutoff)
    return folded[near[0]] if near else None


def closest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'X'?" for the known name nearest to `name`, or an empty text."""
    near = nearest(name, known)
    return f" Did you mean '{near}'?" if near else ""


def listed(names: Iterable[str], most: int = 20) -> str:
    """Return names separated by commas, and the number of those left out.

    >>> listed("abc"), listed("abc", most=2)
    ('a, b, c', 'a, b and 1 more')
    """
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def misspelt(name: str, known: Iterable[str], cutoff: float = 0.85) -> str | None:
    """Return the known name that `name` is surely a typo of, or None.

    Stricter than `nearest`, for keys that may be new: names that differ only in digits (``layer1``,
    ``layer2``) are not typos.

    >>> misspelt("train_epoch", ["train_epochs", "train_mb_size"])
    'train_epochs'
    >>> misspelt("loss_weight2", ["loss_weight1"]) is None
    True
    """
    known = [candidate for candidate in known if _letters(candidate) != _letters(name)]
    return nearest(name, known, cutoff)


def _letters(name: str) -> str:
    """Return `name` with every number replaced by ``#``."""
    return re.sub(r"\d+", "#", name)
