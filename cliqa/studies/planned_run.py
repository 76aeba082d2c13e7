"""One run of a study: a config in one replicate, and whether its finished results can be kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cliqa.config.load import load_config
from cliqa.deploy.search.options import deploy_options
from cliqa.engine.pretrain.run import ENCODER
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run
from cliqa.engine.work_dir.same_run import check_same_texts, differing_keys, listed
from cliqa.evaluation.records.results import FILE_NAME, load_results
from cliqa.evaluation.records.study_deployed import read_deployments
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger
from cliqa.utils.paths import home_path

logger = get_logger(__name__)


@dataclass(frozen=True)
class Replicate:
    """A repetition of every config: a seed, an order of the data sets with one, or a split.

    With `draws` the seed also draws the training images of ``scenario.max_train``.
    """

    seed: int
    order: tuple[str, ...] = ()
    split: int | None = None
    folds: bool = False
    draws: bool = False

    def __str__(self) -> str:
        """Return its name in tables."""
        if self.split is not None:
            return f"{self._kind} {self.split}"
        return (
            f"order {'-'.join(self.order)} seed {self.seed}" if self.order else f"seed {self.seed}"
        )

    @property
    def _kind(self) -> str:
        return "fold" if self.folds else "split"

    @property
    def options(self) -> tuple[str, ...]:
        """Return the values for ``--cfg-options``."""
        if self.split is not None:
            return (f"scenario.split_index={self.split}",)
        names = ",".join(f"'{name}'" for name in self.order)
        order = (f"scenario.order=[{names}]",) if self.order else ()
        return (*order, f"scenario.max_train_seed={self.seed}") if self.draws else order

    @property
    def folder(self) -> Path:
        """Return where its run lies below the config's folder."""
        if self.split is not None:
            return Path(f"{self._kind}_{self.split}")
        seed = Path(f"seed_{self.seed}")
        order = "-".join(re.sub(r"[^\w.]+", "_", name) for name in self.order)
        return Path(f"order_{order}") / seed if order else seed


@dataclass(frozen=True)
class PlannedRun:
    """One config in one replicate.

    Args:
        file: The config.
        replicate: The seed, and the order.
        options: The values for ``--cfg-options``, including the replicate's.
        folder: The run's work_dir.
        config: What the config resolves to.
        arm: Its name among the study's rows; by default the config's.
        before: The pretraining whose encoder it starts from, None for none.
    """

    file: Path
    replicate: Replicate
    options: tuple[str, ...]
    folder: Path
    config: Mapping[str, Any]
    arm: str = ""
    before: PlannedRun | None = None

    def __str__(self) -> str:
        """Return its name in messages."""
        return f"{self.name}, {self.replicate}"

    @property
    def name(self) -> str:
        """Its name among the study's rows."""
        return self.arm or self.file.stem

    @property
    def encoder(self) -> Path:
        """Where a pretraining's encoder lies once it has finished."""
        return self.folder / "checkpoints" / ENCODER

    @property
    def log(self) -> Path:
        """Return the file that takes the process's output, beside the work_dir."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def is_finished(self) -> bool:
        """Return whether the work_dir holds this run's finished results, and what it deploys.

        Raises:
            ConfigError: It holds a run of another config.
            CheckpointError: It holds a run with other texts.
        """
        saved = self.folder / "config.py"
        if not saved.is_file():
            return False
        differing = differing_keys(load_config(saved), self.config)
        if differing:
            raise ConfigError(
                f"{self.folder}: holds a run of another config; these keys differ: "
                f"{listed(differing)}. Choose another folder with --out, or move this one away."
            )
        if self.config.get("pretrain") is not None:
            return self.encoder.is_file()
        if not (self.folder / FILE_NAME).is_file():
            return False
        results = load_results(self.folder)
        finished = results["status"] == "finished" and results["seed"] == self.replicate.seed
        if finished and self.config["model"].get("texts"):
            checkpoint = find_checkpoint(self.folder)
            check_same_texts(checkpoint, load_run(checkpoint), dict(self.config))
        return finished and self._is_deployed()

    def _is_deployed(self) -> bool:
        """Return whether the search that the config asks for, if any, has finished."""
        section = self.config.get("deploy")
        if section is None:
            return True
        held = read_deployments(self.folder) or {}
        return bool(held.get("options") == deploy_options(section).to_dict())

    @property
    def start(self) -> Path | None:
        """The file of ``load_from``, that of an own pretraining apart; None for none."""
        source = self.config.get("load_from")
        if not source or self.before is not None:
            return None
        return home_path(source["path"] if isinstance(source, Mapping) else source)
