"""The targets of a stream, by its kind."""

from __future__ import annotations

from cliqa.engine.targets.classes import ClassTargets
from cliqa.engine.targets.kind import Targets
from cliqa.engine.targets.scores import ScoreTargets

KINDS: dict[str, type[Targets]] = {"scores": ScoreTargets, "classes": ClassTargets}


def targets_of(stream: object) -> Targets:
    """Return the targets of a stream, or of a class of streams.

    Args:
        stream: Has a ``target_kind``: ``"scores"``, where it has none, or ``"classes"``.
    """
    return KINDS[getattr(stream, "target_kind", "scores")]()
