"""Loggers that write files into the work_dir: csv, text, and TensorBoard's events."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from avalanche.logging import BaseLogger
from avalanche.logging import TensorboardLogger as AvalancheTensorboardLogger
from avalanche.logging import TextLogger as AvalancheTextLogger

from cliqa.engine.loggers.run_logger import Facts, RunLogger
from cliqa.registry import LOGGERS
from cliqa.transforms.decode import read_image
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


@LOGGERS.register_module()
class TensorboardLogger(AvalancheTensorboardLogger, RunLogger):
    """A run for ``tensorboard --logdir``: config, curves, score matrix, figures and metrics.

    Args:
        tb_log_dir: Folder; None for ``tensorboard`` in the work_dir.
        filename_suffix: Appended to the event file's name.
        work_dir: The run's folder.
    """

    failures: ClassVar[tuple[type[Exception], ...]] = (OSError,)

    def __init__(
        self,
        tb_log_dir: str | None = None,
        filename_suffix: str = "",
        work_dir: str | Path = ".",
    ) -> None:
        folder = Path(tb_log_dir) if tb_log_dir else Path(work_dir) / "tensorboard"
        super().__init__(folder, filename_suffix)
        self._failure: OSError | None = None
        self._keep_failures()

    def log_single_metric(self, name: str, value: object, x_plot: int) -> None:
        """Write a value.

        Raises:
            OSError: An earlier one could not be written; the thread that writes has met it.
        """
        super().log_single_metric(name, value, x_plot)
        self._raise_failure()

    def log_run(self, config: Mapping[str, Any], work_dir: Path, earlier: Facts) -> Facts | None:
        """Show the config as text; return the command that shows the run."""
        self.writer.add_text("config", f"```\n{json.dumps(config, indent=1, default=str)}\n```")
        return {"link": f"tensorboard --logdir {self.writer.log_dir}"}

    def log_values(self, values: Mapping[str, float], axis: str, place: int) -> None:
        """Add a point to curves."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, place)
        self._raise_failure()

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show a table as text."""
        lines = [columns, ["---"] * len(columns), *([_cell(value) for value in r] for r in rows)]
        self.writer.add_text(name, "\n".join(f"| {' | '.join(line)} |" for line in lines))
        self._raise_failure()

    def log_image(self, name: str, file: Path) -> None:
        """Show a figure."""
        self.writer.add_image(name, read_image(file))
        self._raise_failure()

    def _raise_failure(self) -> None:
        """Raise what the writing thread has met."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _keep_failures(self) -> None:
        """Keep errors of the writing thread, which would print them and end."""
        events = getattr(self.writer.file_writer, "event_writer", None)
        records = getattr(getattr(events, "_async_writer", None), "_writer", None)

        def kept(method: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: object) -> None:
                try:
                    method(*args)
                except OSError as error:
                    self._failure = error

            return call

        for name in ("write", "flush", "close"):
            if hasattr(records, name):
                setattr(records, name, kept(getattr(records, name)))

    def close(self) -> None:
        """Write what is left and close the event file."""
        self.writer.close()


def _cell(value: object) -> str:
    """Return a table's cell.

    >>> _cell(0.12345), _cell(None), _cell("after eva")
    ('0.123', 'n/a', 'after eva')
    """
    if value is None:
        return "n/a"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
