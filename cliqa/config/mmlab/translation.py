"""What a key of mmengine becomes here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cliqa.config.values import as_code


@dataclass
class Translation:
    """Our keys for a part of an mmengine config.

    Attributes:
        settings: Values by our dotted keys, ``{"cl_strategy.train_epochs": 300}``.
        lost: What has no counterpart, each a clause that says so.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def add(self, other: Translation) -> None:
        """Add another translation; its settings take precedence."""
        self.settings.update(other.settings)
        self.lost += [reason for reason in other.lost if reason not in self.lost]

    def __str__(self) -> str:
        """Return the advice of an error message.

        >>> str(Translation({"seed": 3}, ["ranks have one seed"]))
        'Set seed=3. Ranks have one seed.'
        """
        settings = [f"{key}={as_code(value)}" for key, value in self.settings.items()]
        parts = [f"Set {', '.join(settings)}."] if settings else []
        parts += [f"{reason[0].upper()}{reason[1:]}." for reason in self.lost]
        return " ".join(parts) or "It has no effect here: leave it out."


def as_dict(value: object) -> dict[str, Any]:
    """Return a dict's items with string keys, none for another value."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def as_dicts(value: object) -> list[dict[str, Any]]:
    """Return the dicts of a list, or a dict alone as a list."""
    listed = value if isinstance(value, (list, tuple)) else [value]
    return [as_dict(item) for item in listed if isinstance(item, dict)]


def unknown(section: str, given: dict[str, Any], known: set[str]) -> list[str]:
    """Return a clause for each key that nothing here stands for."""
    return [f"{section}.{key} has no counterpart" for key in given if key not in known]
