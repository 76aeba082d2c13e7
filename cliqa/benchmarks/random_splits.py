"""Random splits of every data set: how many (``scenario.splits``), which (``split_index``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cliqa.utils.errors import ConfigError


def check_split(splits: object, split: object) -> None:
    """Refuse numbers of splits that are none, and a run of all splits at once.

    Raises:
        ConfigError: They are such.
    """
    for key, value in (("splits", splits), ("split_index", split)):
        least = 1 if key == "splits" else 0
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(
                f"scenario.{key}: expected a whole number of at least {least}, got {value!r}."
            )
    if splits is not None and split is None:
        raise ConfigError(
            f"scenario.splits={splits}: a run is of one split. Run all of them with "
            "tools/run_seeds.py, or set scenario.split_index=0 for the first."
        )


def with_split(section: Mapping[str, Any], split: int) -> dict[str, Any]:
    """Return a data set's section with the seed of one of several random splits.

    >>> with_split({"type": "LIVE", "seed": 5}, 2)
    {'type': 'LIVE', 'seed': 7}
    """
    return {**section, "seed": section.get("seed", 0) + split}


def given_split(name: str) -> str:
    """Return why a data set cannot be split at random, for a message."""
    return (
        f"{name}: its label file gives the split, and scenario.split_index draws another one. "
        "Leave scenario.splits out, or set split_column=None in the data set's config."
    )
