"""Checks of the arguments of models, losses and methods."""

from __future__ import annotations

from collections.abc import Collection

from cliqa.config.suggest import closest
from cliqa.utils.errors import ConfigError


def check_positive(owner: str, **values: float) -> None:
    """Refuse sizes and factors that are not above 0, NaN too.

    Args:
        owner: The component's name, for the message; the same in the other checks.
        values: The arguments by name; the same in the other checks.

    Raises:
        ConfigError: One is 0, negative or NaN.

    >>> check_positive("CosineClsHead", num_classes=10, scale=16.0)
    """
    for name, value in values.items():
        if not value > 0:
            raise ConfigError(f"{owner}: {name} must be above 0, got {value!r}.")


def check_least(owner: str, least: float, **values: float) -> None:
    """Refuse numbers below a limit, NaN too."""
    for name, value in values.items():
        if not value >= least:
            raise ConfigError(f"{owner}: {name} must be >= {least}, got {value!r}.")


def check_integer(owner: str, least: int, **values: object) -> None:
    """Refuse what is not an integer of at least `least`."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{owner}: {name} must be an integer >= {least}, got {value!r}.")


def check_share(owner: str, **values: float) -> None:
    """Refuse numbers outside 0..1, NaN too."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"{owner}: {name} must lie in 0..1, got {value!r}.")


def check_below_one(owner: str, **values: float) -> None:
    """Refuse numbers outside 0..1, and 1."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ConfigError(f"{owner}: {name} must lie in 0..1, below 1, got {value!r}.")


def check_choice(owner: str, known: Collection[object], **values: object) -> None:
    """Refuse what is not one of the known values."""
    for name, value in values.items():
        if value not in known:
            names = [item for item in known if isinstance(item, str)]
            raise ConfigError(
                f"{owner}: {name} must be one of {', '.join(map(repr, known))}, got {value!r}."
                f"{closest(str(value), names)}"
            )
