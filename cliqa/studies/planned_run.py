"""One run of a study: a config in one replicate, and whether it has finished."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cliqa.config.load import load_config
from cliqa.config.values import config_differences
from cliqa.engine.run import FREE, deciding
from cliqa.engine.work_dir.checkpoints import check_same_texts, find_checkpoint, load_run
from cliqa.evaluation.records.results import FILE_NAME, load_results
from cliqa.utils.errors import ConfigError


@dataclass(frozen=True)
class Replicate:
    """What is repeated for every config.

    Args:
        seed: The seed of all randomness.
        order: Names of the data sets in the order to learn them in; empty for the config's own.
    """

    seed: int
    order: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return its name in tables."""
        return (
            f"order {'-'.join(self.order)} seed {self.seed}" if self.order else f"seed {self.seed}"
        )

    @property
    def options(self) -> tuple[str, ...]:
        """Return what ``--cfg-options`` must say."""
        names = ",".join(f"'{name}'" for name in self.order)
        return (f"scenario.order=[{names}]",) if self.order else ()

    @property
    def folder(self) -> Path:
        """Return where its run lies below the config's folder."""
        seed = Path(f"seed_{self.seed}")
        order = "-".join(re.sub(r"[^\w.]+", "_", name) for name in self.order)
        return Path(f"order_{order}") / seed if order else seed


@dataclass(frozen=True)
class PlannedRun:
    """One config in one replicate.

    Args:
        file: The config.
        replicate: The seed, and the order.
        options: What ``--cfg-options`` must say, the replicate's included.
        folder: The run's work_dir.
        config: What the config resolves to.
    """

    file: Path
    replicate: Replicate
    options: tuple[str, ...]
    folder: Path
    config: Mapping[str, Any]

    def __str__(self) -> str:
        """Return its name in messages."""
        return f"{self.file.stem}, {self.replicate}"

    @property
    def log(self) -> Path:
        """Return the file that takes the process's output, beside the work_dir."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def is_finished(self) -> bool:
        """Tell whether the work_dir holds this run's finished results.

        Raises:
            ConfigError: It holds a run of another config.
            CheckpointError: It holds a run with other texts.
        """
        saved = self.folder / "config.py"
        if not saved.is_file():
            return False
        old, new = deciding(load_config(saved)), deciding(dict(self.config))
        other = [key for key in config_differences(old, new) if key not in FREE]
        if other:
            raise ConfigError(
                f"{self.folder}: holds a run of another config; these keys differ: "
                f"{', '.join(other[:8])}. Choose another folder with --out, or move this one away."
            )
        if not (self.folder / FILE_NAME).is_file():
            return False
        results = load_results(self.folder)
        finished = results["status"] == "finished" and results["seed"] == self.replicate.seed
        if finished and self.config["model"].get("texts"):
            checkpoint = find_checkpoint(self.folder)
            check_same_texts(checkpoint, load_run(checkpoint), dict(self.config))
        return finished
