"""What an unfinished run reaches on the validation data of the data sets that it has learnt."""

from __future__ import annotations

from pathlib import Path

import torch

from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run
from cliqa.inference.evaluation_model import open_evaluation
from cliqa.inference.evaluation_pass import evaluate_models
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.utils.errors import EvaluationError

MEASURES = ("srcc", "accuracy")


def validated(
    folder: str | Path, experiences: int, device: torch.device, allow_changed_data: bool = False
) -> dict[str, float]:
    """Return the SRCC, or the accuracy, on the validation data of the first experiences.

    No test sample is looked at, and nothing is written.

    Args:
        folder: The run's work_dir; its checkpoint after these experiences is measured, else its
            last one.
        experiences: How many of the stream's first experiences.
        device: Where to compute.
        allow_changed_data: Measure although labels or images have changed since.

    Raises:
        EvaluationError: The measure is not defined, as for constant predictions.
        CliqaError: The checkpoint or its data are wrong.
    """
    kept = WorkDir(folder).checkpoint_of(experiences - 1)
    path = kept if kept.is_file() else find_checkpoint(folder)
    names = list(load_run(path)["names"])[:experiences]
    request = EvalRequest(data_sets=names, split="val", allow_changed_data=allow_changed_data)
    (found,) = evaluate_models([open_evaluation(path, request, device)])
    reached: dict[str, float] = {}
    for name in names:
        metrics = found["datasets"][name]["metrics"]
        measure = next(one for one in MEASURES if one in metrics)
        if metrics[measure] is None:
            reasons = "; ".join(metrics.get("warnings") or ["not defined"])
            raise EvaluationError(f"{folder}: {measure} on {name}: {reasons}")
        reached[name] = float(metrics[measure])
    return reached
