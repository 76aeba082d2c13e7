"""Avalanche's TensorboardLogger, writing into the work_dir."""

from __future__ import annotations

from pathlib import Path

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

    def close(self) -> None:
        """Write what is left and close the event file."""
        self.writer.close()
