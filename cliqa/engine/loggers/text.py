"""Avalanche's TextLogger, writing into a file of the work_dir."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avalanche.logging import TextLogger as AvalancheTextLogger

from cliqa.registry import LOGGERS


@LOGGERS.register_module()
class TextLogger(AvalancheTextLogger):
    """Metrics as text, flushed line by line, so that a killed run leaves a whole log.

    Args:
        file: File name, relative to the work_dir; None for ``metrics.log``.
        work_dir: The run's folder.
    """

    def __init__(self, file: str | None = None, work_dir: str | Path = ".") -> None:
        path = Path(work_dir) / (file or "metrics.log")
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(file=path.open("a", encoding="utf-8", buffering=1))

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def __getstate__(self) -> dict[str, Any]:
        """Refuse to be copied: an open file cannot."""
        raise TypeError("a TextLogger holds an open file and cannot be copied")
