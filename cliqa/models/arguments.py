"""Checks of the arguments of models."""

from __future__ import annotations

from cliqa.utils.errors import ConfigError


def check_positive(owner: str, **values: float) -> None:
    """Refuse sizes and factors that are not above 0.

    Args:
        owner: The component's name, for the message.
        values: The arguments by name.

    Raises:
        ConfigError: One is 0, negative or NaN.

    >>> check_positive("CosineClsHead", num_classes=10, scale=16.0)
    """
    for name, value in values.items():
        if not value > 0:  # NaN too
            raise ConfigError(f"{owner}: {name} must be above 0, got {value}.")
