"""The exported files of a study's runs: their scores, and their speed measured in turns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from cliqa.compress.auto import FOLDER
from cliqa.deploy.search.recipes import Recipe
from cliqa.inference.evaluation_model import ExportedEvaluation
from cliqa.inference.evaluation_pass import evaluate_models
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.inference.exported_model import ExportedModel
from cliqa.studies.planned_run import PlannedRun
from cliqa.utils.errors import ArtifactError

Key = TypeVar("Key")

TURN = 0.03
"""Seconds that a turn of one file lasts at least, so that a coarse clock can measure it."""

MOST_PASSES = 2000


class Speed(NamedTuple):
    """Images a second in one turn: of CPU time, and of wall time."""

    cpu: float
    wall: float


def file_of(run: PlannedRun, precision: str) -> Path:
    """Return the ONNX file that a finished run's search for a deployment has written.

    Args:
        run: Its config has a ``deploy`` section with ONNX Runtime among its backends.
        precision: ``"fp32"``, ``"fp16"`` or ``"int8"``.

    Raises:
        ArtifactError: It is not there.
    """
    folder = run.folder / FOLDER
    path = folder / f"{Recipe(0.0, 'onnxruntime', precision).key}.onnx"
    if not path.is_file():
        raise ArtifactError(
            f"{path}: missing. {folder / 'deployments.md'} says why, if it could not be made; else "
            f"delete {folder / 'deployments.json'}, and the same command makes it again."
        )
    return path


def file_scores(
    run: PlannedRun, path: Path, *, allow_changed_data: bool = False
) -> dict[str, dict[str, float | None]]:
    """Return what a run's exported file reaches on the test sets, by measure and data set.

    Raises:
        CliqaError: The file or the data are missing or wrong.
    """
    config = {**run.config, "evaluation": {"bootstrap": 0}}
    request = EvalRequest(allow_changed_data=allow_changed_data)
    model = ExportedEvaluation(ExportedModel(path), config, str(run.file), request)
    (found,) = evaluate_models([model])
    scores: dict[str, dict[str, float | None]] = {}
    for name, entry in found["datasets"].items():
        for measure, value in entry["metrics"].items():
            scores.setdefault(measure, {})[name] = value
    return scores


def measure_speeds(
    models: Mapping[Key, Callable[[np.ndarray], object]],
    batch: np.ndarray,
    rounds: int,
    clocks: tuple[Callable[[], float], Callable[[], float]] = (
        time.process_time,
        time.perf_counter,
    ),
) -> dict[Key, list[Speed]]:
    """Return the speed of each model in every round, measured in turns: A B C, A B C.

    What slows the machine for a while slows all models alike. A turn has as many passes as fill
    `TURN`; the first turn of each model, which counts them, is not among the rounds.

    Args:
        models: They run in this thread alone.
        batch: Their input (B, C, H, W).
        rounds: >= 1.
        clocks: CPU time and wall time.
    """
    cpu, wall = clocks
    passes: dict[Key, int] = {}
    for key, model in models.items():
        model(batch)  # allocates
        started = cpu()
        model(batch)
        passes[key] = min(MOST_PASSES, math.ceil(TURN / max(cpu() - started, TURN / MOST_PASSES)))
    found: dict[Key, list[Speed]] = {key: [] for key in models}
    for _ in range(rounds):
        for key, model in models.items():
            began, started = wall(), cpu()
            for _ in range(passes[key]):
                model(batch)
            used, lasted = cpu() - started, wall() - began
            images = passes[key] * len(batch)
            found[key].append(Speed(images / max(used, 1e-9), images / max(lasted, 1e-9)))
    return found
