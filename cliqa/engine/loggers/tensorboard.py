"""Avalanche's TensorboardLogger, writing into the work_dir."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from avalanche.logging import TensorboardLogger as AvalancheTensorboardLogger

from cliqa.registry import LOGGERS


@LOGGERS.register_module()
class TensorboardLogger(AvalancheTensorboardLogger):
    """Metrics for ``tensorboard --logdir``.

    Args:
        tb_log_dir: Folder; None for ``tensorboard`` in the work_dir.
        filename_suffix: Appended to the event file's name.
        work_dir: The run's folder.
    """

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
