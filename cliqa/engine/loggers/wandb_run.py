"""Avalanche's WandBLogger, mended for current versions of Weights & Biases."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from avalanche.logging import WandBLogger as AvalancheWandBLogger

from cliqa.registry import LOGGERS
from cliqa.utils.errors import ConfigError


@LOGGERS.register_module()
class WandBLogger(AvalancheWandBLogger):
    """Metrics for Weights & Biases, online or offline.

    Args:
        project_name: Project of the run.
        run_name: Name of the run; None for the work_dir's name.
        mode: ``"online"``, ``"offline"`` or ``"disabled"``; None for ``WANDB_MODE``, else online
            where an API key is set in ``WANDB_API_KEY``, else offline (send it later with
            ``wandb sync``).
        work_dir: The run's folder; its ``wandb`` subfolder takes the files.
        arguments: Further arguments of Avalanche's logger.

    Raises:
        ConfigError: `mode` is unknown.
    """

    def __init__(
        self,
        project_name: str = "cliqa",
        run_name: str | None = None,
        mode: str | None = None,
        work_dir: str | Path = ".",
        params: dict[str, Any] | None = None,
        **arguments: Any,  # noqa: ANN401
    ) -> None:
        online = "online" if os.environ.get("WANDB_API_KEY") else "offline"
        mode = mode or os.environ.get("WANDB_MODE") or online
        if mode not in ("online", "offline", "disabled"):
            raise ConfigError(
                f"WandBLogger: mode must be 'online', 'offline' or 'disabled', got {mode!r}."
            )
        super().__init__(
            project_name=project_name,
            run_name=run_name or Path(work_dir).resolve().name,
            dir=arguments.pop("dir", None) or str(work_dir),
            params={"mode": mode, **(params or {})},
            **arguments,
        )

    def import_wandb(self) -> None:
        """Import the library and put back two names that Avalanche 0.6 calls and it has dropped."""
        super().import_wandb()
        if not hasattr(self.wandb.util, "generate_id"):
            self.wandb.util.generate_id = lambda length=8: secrets.token_hex(length // 2)
        if not hasattr(self.wandb, "viz"):
            self.wandb.viz = SimpleNamespace(CustomChart=self.wandb.plot.CustomChart)

    def close(self) -> None:
        """Finish the run, which writes what is left."""
        self.wandb.finish()
