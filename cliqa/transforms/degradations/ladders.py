"""The rungs of a family's ladder, for any number of levels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cliqa.registry import find
from cliqa.transforms.degradations.base import DEGRADATIONS, Degradation
from cliqa.utils.errors import ConfigError


def find_family(name: str) -> Degradation:
    """Return the family of a name.

    Raises:
        ConfigError: There is none.
    """
    return find(DEGRADATIONS, {"type": name}, "degradation")()


def family_names(table: str = "standard") -> list[str]:
    """Return the names of all families that rise in a table, sorted.

    Raises:
        ConfigError: No family has the table.
    """
    families = {name: find_family(name) for name in DEGRADATIONS.names()}
    found = [n for n, family in families.items() if family.rises and table in family.ladders]
    if not found:
        known = sorted({key for family in families.values() for key in family.ladders})
        raise ConfigError(f"unknown table of degradations '{table}'. Use {', '.join(known)}.")
    return found


def rungs(name: str, num_levels: int = 5, table: str = "standard") -> tuple[float, ...]:
    """Return a family's strengths from the mildest to the harshest.

    Args:
        name: The family.
        num_levels: How many. Another number than the table's is interpolated between its first
            and last strength; a single one is the middle.
        table: ``"standard"``, ``"wide"``, ``"kadid"`` or ``"swin_hyperiqa"``.

    Raises:
        ConfigError: The family or its table is unknown, or it has no such number of strengths.

    >>> rungs("blur")
    (0.5, 1.0, 1.5, 2.0, 2.5)
    >>> rungs("jpeg", num_levels=3)
    (85.0, 55.0, 25.0)
    """
    if isinstance(num_levels, bool) or not isinstance(num_levels, int) or num_levels < 1:
        raise ConfigError(
            f"degradation '{name}': num_levels must be a whole number of at least 1, got "
            f"{num_levels!r}."
        )
    family = find_family(name)
    if table not in family.ladders:
        raise ConfigError(
            f"degradation '{name}' has no table '{table}'. It has {', '.join(family.ladders)}; "
            f"'{table}' is for {', '.join(family_names(table))}."
        )
    if not family.rises and num_levels != len(family.ladders[table]):
        raise ConfigError(
            f"degradation '{name}' does not rise from level to level, so there is nothing between "
            f"its {len(family.ladders[table])} strengths: num_levels must be "
            f"{len(family.ladders[table])}, got {num_levels}. Use 'darken' and 'brighten'."
        )
    found = _interpolate(family.ladders[table], num_levels)
    if not family.whole:
        return found
    rounded = tuple(float(np.rint(strength)) for strength in found)
    if len(set(rounded)) < num_levels:
        first, last = family.ladders[table][0], family.ladders[table][-1]
        raise ConfigError(
            f"degradation '{name}': num_levels={num_levels} does not fit between {first:g} and "
            f"{last:g} in whole numbers. Use fewer levels."
        )
    return rounded


def _interpolate(ladder: Sequence[float], num_levels: int) -> tuple[float, ...]:
    """Return `num_levels` values evenly spaced along a ladder's rungs."""
    last = len(ladder) - 1
    places = np.linspace(0, last, num_levels) if num_levels > 1 else [last / 2]
    return tuple(float(value) for value in np.interp(places, range(len(ladder)), ladder))


def strength_at(name: str, place: float, table: str = "wide") -> float:
    """Return a family's strength anywhere on its ladder.

    Args:
        name: The family.
        place: 0 is the mildest strength, 1 the harshest.
        table: As in `rungs`.

    >>> strength_at("blur", 0.0), strength_at("blur", 0.5), strength_at("jpeg", 1.0)
    (0.4, 1.4, 4.0)
    """
    family = find_family(name)
    ladder = family.ladders[table]
    strength = float(np.interp(place * (len(ladder) - 1), range(len(ladder)), ladder))
    return float(np.rint(strength)) if family.whole else strength
