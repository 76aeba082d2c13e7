"""How often a run's state is written, and how much a kill loses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Cadence(NamedTuple):
    """When a state is due, beside the best epochs and those that are kept.

    Attributes:
        epochs: After every so many epochs of an experience, and after its last one; 0: only at the
            ends of experiences.
        experiences: After every so many experiences, and after the last one.
    """

    epochs: int = 1
    experiences: int = 1

    def after_epoch(self, number: int, last: bool) -> bool:
        """Return whether the state after an experience's epoch, counted from 1, is due."""
        return self.epochs > 0 and (last or number % self.epochs == 0)

    def after_experience(self, number: int, last: bool) -> bool:
        """Return whether the state after an experience, counted from 1, is due."""
        return last or number % self.experiences == 0

    def loss(self) -> str:
        """Return what a kill loses, as a sentence; empty for what it loses by default.

        >>> Cadence(epochs=5).loss()
        'a checkpoint every 5 epochs: a kill loses up to 5 epochs'
        >>> Cadence(epochs=0, experiences=1).loss()
        'a checkpoint every experience: a kill loses up to 1 experience'
        """
        if self == Cadence():
            return ""
        count, word = (self.epochs, "epoch") if self.epochs else (self.experiences, "experience")
        many = f"{word}s" if count > 1 else word
        often = f"{count} {many}" if count > 1 else word
        return f"a checkpoint every {often}: a kill loses up to {count} {many}"


def cadence_of(config: Mapping[str, Any]) -> Cadence:
    """Return what a config asks for with ``checkpoint_config.every``.

    >>> cadence_of({"checkpoint_config": {"every": {"experiences": 3}}})
    Cadence(epochs=0, experiences=3)
    """
    every = (config.get("checkpoint_config") or {}).get("every")
    if every is None:
        return Cadence()
    if isinstance(every, int):
        return Cadence(epochs=every)
    return Cadence(int(every.get("epochs", 0)), int(every.get("experiences", 1)))
