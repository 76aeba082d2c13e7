"""Random splits or folds of every data set: ``scenario.splits``, ``folds`` and ``split_index``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cliqa.utils.errors import ConfigError

KEYS = ("splits", "folds", "split_index")
"""Keys of a scenario: how many random splits, or folds, a study runs; which one a run is of."""


def check_split(splits: object, folds: object, index: object) -> None:
    """Refuse numbers of splits that are none, and a run of all splits at once.

    Raises:
        ConfigError: They are such.
    """
    for key, value, least in zip(KEYS, (splits, folds, index), (1, 2, 0), strict=True):
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if value is not None and not whole:
            raise ConfigError(
                f"scenario.{key}: expected a whole number of at least {least}, got {value!r}."
            )
    if splits is not None and folds is not None:
        raise ConfigError("scenario.splits and scenario.folds: choose one of them.")
    count = splits if folds is None else folds
    if count is not None and index is None:
        key = "splits" if folds is None else "folds"
        raise ConfigError(
            f"scenario.{key}={count}: a run is of one of them. Run all with cliqa study, or "
            "set scenario.split_index=0 for the first."
        )
    if isinstance(folds, int) and isinstance(index, int) and index >= folds:
        raise ConfigError(f"scenario.split_index={index}: the folds are 0 to {folds - 1}.")


def with_split(section: Mapping[str, Any], scenario: Mapping[str, Any]) -> dict[str, Any]:
    """Return a data set's section with the seed, or the fold, of its scenario's split.

    >>> with_split({"type": "LIVE", "seed": 5}, {"split_index": 2})
    {'type': 'LIVE', 'seed': 7}
    >>> with_split({"type": "LIVE", "seed": 5}, {"folds": 4, "split_index": 2})
    {'type': 'LIVE', 'seed': 5, 'fold': (2, 4)}
    """
    index, folds = scenario.get("split_index"), scenario.get("folds")
    if not isinstance(index, int):
        return dict(section)
    if folds is not None:
        return {**section, "fold": (index, folds)}
    return {**section, "seed": section.get("seed", 0) + index}


def given_split(name: str) -> str:
    """Return why a data set cannot be split at random, for a message."""
    return (
        f"{name}: its label file gives the split, and scenario.split_index draws another one. "
        "Leave scenario.splits and folds out, or set split_column=None in the data set's config."
    )
