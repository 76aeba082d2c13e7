"""Every metric value as a row of a csv file."""

from __future__ import annotations

import csv
from pathlib import Path

from avalanche.logging import BaseLogger

from cliqa.registry import LOGGERS
from cliqa.utils.io import named_error


@LOGGERS.register_module()
class CSVLogger(BaseLogger):
    """Rows ``iteration,metric,value``: any metric, where Avalanche's own knows accuracy alone.

    Args:
        file: File name, relative to the work_dir.
        work_dir: The run's folder. A file that is there is appended to.
    """

    def __init__(self, file: str = "metrics.csv", work_dir: str | Path = ".") -> None:
        super().__init__()
        path = Path(work_dir) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists() or path.stat().st_size == 0
        self._file = path.open("a", encoding="utf-8", newline="", buffering=1)
        self._rows = csv.writer(self._file)
        if new:
            with named_error(path):
                self._rows.writerow(["iteration", "metric", "value"])

    def log_single_metric(self, name: str, value: object, x_plot: int) -> None:
        """Write a number; figures and tensors are left out."""
        if isinstance(value, (int, float)):
            self._rows.writerow([x_plot, name, value])

    def close(self) -> None:
        """Close the file."""
        self._file.close()
