"""Writing a run's checkpoints behind its training, in their order, from copies of the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.utils.checkpoint import save_checkpoint
from cliqa.utils.io import replace_by_link
from cliqa.utils.logging import get_logger
from cliqa.utils.memory import available_memory, copied, tensor_bytes
from cliqa.utils.threads.behind import Behind

logger = get_logger(__name__)

SHARE = 0.5
"""Of the free memory that a copy may take; a larger state is written at once, without a copy."""


@dataclass(frozen=True)
class Kept:
    """What else than the last checkpoint is kept of a state.

    Attributes:
        path: The file of an experience or epoch.
        best: It is the best one.
        before_end: It is the one before the end of an experience.
        newest: How many checkpoints within experiences are kept; None for all.
    """

    path: Path | None = None
    best: bool = False
    before_end: bool = False
    newest: int | None = None


LAST = Kept()
"""Nothing else."""


class Saving:
    """The checkpoints of a run, written one after the other.

    Args:
        files: The work_dir.
    """

    def __init__(self, files: WorkDir) -> None:
        self._files = files
        self._behind = Behind()

    def save(
        self, state: dict[str, Any], kept: Kept, then: Callable[[], object] = lambda: None
    ) -> None:
        """Copy a state, and write it while training goes on; `then` is called when it is written.

        It waits for the state before: one copy is in memory at a time, and no later state is on
        the disk before an earlier one.

        Raises:
            OSError: The state before could not be written, or this one where it is not copied.
        """
        self.wait()
        free, size = available_memory(), tensor_bytes(state)
        if size > SHARE * free:
            logger.debug("checkpoint: %d bytes, %d are free: written without a copy", size, free)
            self._write(state, kept, then)
            return
        state = copied(state)
        self._behind.do(lambda: self._write(state, kept, then))

    def wait(self) -> None:
        """Wait until the last state is written.

        Raises:
            OSError: It could not be written.
        """
        self._behind.wait()

    def _write(self, state: dict[str, Any], kept: Kept, then: Callable[[], object]) -> None:
        """Write a state.

        A kept file comes first: a run killed between the two does the last piece again and writes
        both.
        """
        files = self._files
        if kept.path is None:
            save_checkpoint(files.last, state)
            files.mark_last(files.last)
        else:
            save_checkpoint(kept.path, state)
            files.mark_last(kept.path)  # before the link: a resumed run marks it, or does it again
            replace_by_link(kept.path, files.last)
        if kept.best:
            replace_by_link(files.last, files.best)
        if kept.before_end:
            replace_by_link(files.last, files.before_end)
        if kept.newest:
            files.forget_epochs(kept.newest)
        then()
