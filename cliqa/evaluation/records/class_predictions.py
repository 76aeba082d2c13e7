"""Logits of every model of a run on every test set, as files of its work_dir.

They lie where the predicted scores of other runs lie: ``predictions/after_{t}_on_{name}.npz``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cliqa.evaluation.records.predictions import check_kinds, prediction_path, read_arrays
from cliqa.utils.errors import ArtifactError, EvaluationError
from cliqa.utils.io import write_npz

ARRAYS = ("logits", "target", "image", "classes")


@dataclass(frozen=True)
class ClassPredictions:
    """What one model says about one test set of N samples of K classes.

    Attributes:
        logits: (N, K) float32; not finite where training has diverged.
        target: (N,) int64, 0..K-1.
        image: (N,) strings: the samples' files, or their places in one.
        classes: (K,) strings: the classes' names.
    """

    logits: np.ndarray
    target: np.ndarray
    image: np.ndarray
    classes: np.ndarray


def save_class_predictions(
    work_dir: str | Path, experience: int, dataset: str, predictions: ClassPredictions
) -> Path:
    """Write the logits of the model after an experience atomically; return the file's path.

    Raises:
        EvaluationError: The arrays do not fit together, or a target is no class.
    """
    path = prediction_path(work_dir, experience, dataset)
    _check(predictions, EvaluationError, str(path))
    write_npz(
        path,
        logits=np.asarray(predictions.logits, dtype=np.float32),
        target=np.asarray(predictions.target, dtype=np.int64),
        image=np.asarray(predictions.image, dtype=np.str_),
        classes=np.asarray(predictions.classes, dtype=np.str_),
    )
    return path


def load_class_predictions(work_dir: str | Path, experience: int, dataset: str) -> ClassPredictions:
    """Read the logits of the model after an experience.

    Raises:
        ArtifactError: The file is missing or damaged, lacks an array, or has some that do not fit
            together.
    """
    path = prediction_path(work_dir, experience, dataset)
    arrays = read_arrays(path, ARRAYS)
    check_kinds(path, {name: arrays[name] for name in ("logits", "target")})
    predictions = ClassPredictions(**arrays)
    _check(predictions, ArtifactError, str(path))
    check_kinds(path, arrays)
    return predictions


def _check(predictions: ClassPredictions, error: type[Exception], where: str) -> None:
    """Raise `error` where the arrays do not fit together."""
    for name in ("target", "image", "classes"):
        shape = np.shape(getattr(predictions, name))
        if len(shape) != 1:
            raise error(f"{where}: {name} must have one dimension, got shape {shape}.")
    target, classes = np.asarray(predictions.target), len(predictions.classes)
    shape = np.shape(predictions.logits)
    if len(shape) != 2 or shape[0] != len(target) or shape[1] < classes:
        raise error(
            f"{where}: logits of shape {shape} for {len(target)} targets of {classes} classes."
        )
    if len(predictions.image) != len(target):
        raise error(f"{where}: {len(predictions.image)} images for {len(target)} targets.")
    if len(target) and not 0 <= target.min() <= target.max() < classes:
        raise error(
            f"{where}: targets lie in {target.min()}..{target.max()}, outside 0..{classes - 1}."
        )
