"""The checkpoint that a run continues from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avalanche.training.templates import SupervisedTemplate

from cliqa.engine.work_dir.history import read_rows
from cliqa.engine.work_dir.holding import ReadCheckpoint
from cliqa.training.state import without_state
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import CheckpointError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

FORMAT = 3
"""Version of the checkpoint's layout."""


@dataclass(frozen=True)
class Source:
    """A run's checkpoint, as it was read.

    Attributes:
        path: Where it lies.
        read_as: The file as it was then.
        state: Its content; see `cliqa.engine.run`. Of its history it has the counts alone: see
            `rows`.
    """

    path: Path
    read_as: ReadCheckpoint
    state: dict[str, Any]

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of its history; see `read_rows`.

        Raises:
            CheckpointError: Some are missing.
        """
        return read_rows(self.path, self.state)

    @property
    def learnt(self) -> list[str]:
        """The names of the experiences whose training has ended."""
        return list(self.state["names"][: self.state["next_step"]])

    @property
    def gone(self) -> list[str]:
        """The names of the experiences whose data were gone, ``""`` in place of the others."""
        return absent_in(self.state)

    @property
    def mid_step(self) -> bool:
        """Whether it was written between two epochs of an experience."""
        inside: bool = self.state["strategy"].get("step_index") == self.state["next_step"]
        return inside and bool(self.state["strategy"].get("epochs_done"))


def absent_in(state: Mapping[str, Any]) -> list[str]:
    """Return a checkpoint's experiences whose data were gone, ``""`` in place of the others.

    >>> absent_in({"names": ["a", "b", "c"], "absent": ["b"]})
    ['', 'b', '']
    """
    absent = state.get("absent", ())
    return [name if name in absent else "" for name in state["names"]]


def read_source(path: Path) -> Source:
    """Return a run's checkpoint.

    Raises:
        CheckpointError: The file is missing or damaged, or holds something else.
    """
    read_as = ReadCheckpoint(path)
    state = load_checkpoint(path)
    if state.get("format") != FORMAT or "strategy" not in state:
        raise CheckpointError(
            f"{path}: not a checkpoint of a run of this version. To start from its weights "
            f"alone, use --cfg-options load_from={path}."
        )
    return Source(path, read_as, state)


def can_go_on(source: Source | None, strategy: SupervisedTemplate, steps: int) -> bool:
    """Return whether a strategy continues from a checkpoint; warn where none can hold its state.

    Such a strategy trains the stream again from its start, which ends in the same numbers.

    Args:
        source: The checkpoint; None without one.
        strategy: The strategy.
        steps: Of the stream.
    """
    lacking = without_state(strategy)
    if not lacking or (source is not None and source.state["next_step"] == steps):
        return source is not None
    logger.warning(
        "no checkpoint can hold the state of %s: a resumed run starts the stream again",
        " and ".join(lacking),
    )
    return False
