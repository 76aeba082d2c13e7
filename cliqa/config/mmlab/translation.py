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
        >>> str(Translation(lost=["dist_cfg: a run is one process"]))
        'dist_cfg: a run is one process.'
        """
        settings = [f"{key}={as_code(value)}" for key, value in self.settings.items()]
        parts = [f"Set {', '.join(settings)}."] if settings else []
        parts += [f"{_capital(reason)}." for reason in self.lost]
        return " ".join(parts) or "It has no effect here: leave it out."


def _capital(clause: str) -> str:
    """Return a clause as a sentence begins; a key or a value of code stays as it is."""
    is_word = clause.split()[0].strip(",").isalpha()
    return f"{clause[0].upper()}{clause[1:]}" if is_word else clause


def as_dict(value: object) -> dict[str, Any]:
    """Return a dict's items with string keys, none for another value."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def as_dicts(value: object) -> list[dict[str, Any]]:
    """Return the dicts of a list, or a dict alone as a list.

    Options of the command line give an item by its index (``param_scheduler.0.gamma=0.1``).

    >>> as_dicts({"0": {"gamma": 0.1}})
    [{'gamma': 0.1}]
    """
    if isinstance(value, dict) and value and all(str(key).isdecimal() for key in value):
        value = list(value.values())
    listed = value if isinstance(value, (list, tuple)) else [value]
    return [as_dict(item) for item in listed if isinstance(item, dict)]


def unknown(section: str, given: dict[str, Any], known: set[str]) -> list[str]:
    """Return a clause for each key that nothing here stands for."""
    return [f"{section}.{key} has no counterpart" for key in given if key not in known]
