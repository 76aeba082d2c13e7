"""How far a run is, from what it has written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cliqa
from cliqa.app.settings import changed_at, file_state
from cliqa.config.load import load_config
from cliqa.evaluation.records.results import FILE_NAME, main_measure
from cliqa.evaluation.records.tables import LABELS
from cliqa.utils.errors import ArtifactError, ConfigError
from cliqa.visualization.history import load_metrics

DONE = "All is learnt. Figures, and the smaller files that were asked for, are being made."


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        share: Of its epochs, 0..1; None where nobody can know.
        words: The same in a sentence.
        stamp: Changes when the run has written so much that its figures look different.
        measure: Of `score`.
        score: The last mean of its main measure; None before the first experience has ended.
    """

    share: float | None
    words: str
    stamp: str
    measure: str = ""
    score: float | None = None


def progress_of(folder: Path, config_file: Path) -> Progress:
    """Return how far the run of a folder is; files that have not changed are not read again."""
    run, config = os.fspath(folder), os.fspath(config_file)  # quicker to join and to look up
    states = (file_state(os.path.join(run, name)) for name in ("metrics.jsonl", FILE_NAME))
    return _progress(run, config, changed_at(config_file), *states)


def status_of(folder: Path) -> str | None:
    """Return the status in a run's results; None where there are none."""
    content = _results(folder, file_state(folder / FILE_NAME))
    return None if content is None else str(content["status"])


@lru_cache(maxsize=2048)
def _results(folder: Path, _: object) -> dict[str, Any] | None:
    """Return a run's results, in a state of their file; None where there are none yet."""
    try:
        return cliqa.results(folder).content
    except ArtifactError:
        return None


@lru_cache(maxsize=2048)
def _progress(run: str, config: str, changed: float, *_: object) -> Progress:
    """Return how far the run of a folder is, in a state of its files."""
    folder = Path(run)
    try:
        rows = [row for row in load_metrics(folder) if row.get("kind") == "epoch"]
    except (ArtifactError, OSError):
        rows = []
    content = _results(folder, file_state(folder / FILE_NAME))
    epochs = _epochs(config, changed)
    learnt = len(_matrix(content)) if content else 0
    stamp = f"{len(rows):.2g}|{learnt}|{content['status'] if content else ''}"
    count = len(content["experiences"]) if content and not content["joint"] else None
    measure, score = _score(content)
    if not rows:
        return Progress(None, "", stamp, measure, score)
    last = rows[-1]
    place, epoch = int(last["experience"]), int(last["epoch"])
    of_all = f" of {count}" if count else ""
    words = f"Experience {place + 1}{of_all} ({last['name']}), epoch {epoch} of {epochs}."
    share = None if not count else min(1.0, (place + epoch / max(epochs, epoch)) / count)
    if content is not None and content["status"] == "finished":
        share, words = 1.0, DONE
    return Progress(share, words, stamp, measure, score)


def _matrix(content: dict[str, Any]) -> list[list[float | None]]:
    """Return the rows of a run's main matrix."""
    return list(content["matrix"][main_measure(content)])


def _score(content: dict[str, Any] | None) -> tuple[str, float | None]:
    """Return a run's main measure, and its mean over the data sets learnt so far."""
    if content is None:
        return "", None
    rows = _matrix(content)
    learnt = rows[-1] if content["joint"] else rows[-1][: len(rows)]
    known = [value for value in learnt if value is not None]
    name = main_measure(content)
    return LABELS.get(name, name), sum(known) / len(known) if known else None


@lru_cache(maxsize=256)
def _epochs(config_file: str, _: float) -> int:
    """Return a config's epochs; a file that has changed is read anew."""
    try:
        return int(load_config(config_file)["cl_strategy"].get("train_epochs", 1))
    except (ConfigError, KeyError, TypeError, ValueError):
        return 1
