"""Predictions of every model of a run on every data set, as files of its work_dir.

``predictions/after_{t}_on_{name}.npz`` holds what the model after experience t (from 0) predicts
for the test set of a data set: scores, or logits of classes. Figures and the stability index are
computed from these files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np

from cliqa.evaluation.functional import as_pair, as_scores
from cliqa.utils.archive import ArchiveError, read_npz
from cliqa.utils.errors import ArtifactError, EvaluationError
from cliqa.utils.io import write_npz

TEXTS = ("image", "classes")
"""Arrays of text."""


@dataclass(frozen=True)
class ScorePredictions:
    """Predicted scores of one model for one test set of N images.

    Attributes:
        prediction: Predicted scores, (N,), 0..1, higher = better.
        target: True scores, (N,), 0..1, higher = better.
        raw: True scores on the data set's own scale, (N,).
        image: The images' file names, (N,) strings.
    """

    prediction: np.ndarray
    target: np.ndarray
    raw: np.ndarray
    image: np.ndarray

    def scale(self) -> tuple[float, float] | None:
        """Return what 0 and 1 are on the data set's own scale; None where all scores are equal."""
        if not self.target.size or np.ptp(self.target) == 0.0:
            return None
        worst, best = int(np.argmin(self.target)), int(np.argmax(self.target))
        slope = (self.raw[best] - self.raw[worst]) / (self.target[best] - self.target[worst])
        low = float(self.raw[worst] - slope * self.target[worst])
        high = low + float(slope)
        digits = 5 - math.ceil(math.log10(abs(high - low)))  # the targets have 7
        return round(low, digits) + 0.0, round(high, digits) + 0.0

    def on_own_scale(self) -> ScorePredictions:
        """Return them in the label file's units and direction, predictions too."""
        low, high = self.scale() or (0.0, 1.0)
        return replace(self, prediction=low + (high - low) * self.prediction, target=self.raw)


@dataclass(frozen=True)
class ClassPredictions:
    """Logits of one model for one test set of N samples of K classes.

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


def prediction_path(work_dir: str | Path, experience: int, dataset: str) -> Path:
    """Return where the predictions of the model after an experience lie.

    What a file name cannot hold of the data set's name is percent-quoted.
    """
    name = quote(dataset, safe=" +,()[]=")
    return Path(work_dir) / "predictions" / f"after_{experience}_on_{name}.npz"


def save_predictions(
    work_dir: str | Path, experience: int, dataset: str, predictions: ScorePredictions
) -> Path:
    """Write the scores predicted after an experience atomically; return the file's path.

    Predictions of a model that has diverged are written as they are.

    Raises:
        EvaluationError: The arrays differ in length, or a true score is not finite.
    """
    x, y = np.asarray(predictions.prediction), predictions.target
    if np.isfinite(x).all():
        x, y = as_pair(x, y)
    raw, image = as_scores(predictions.raw, "raw"), np.asarray(predictions.image, dtype=np.str_)
    if raw.shape != x.shape or image.shape != x.shape:
        raise EvaluationError(
            f"{x.size} predictions with {raw.size} raw scores and {image.size} file names."
        )
    path = prediction_path(work_dir, experience, dataset)
    write_npz(path, prediction=x, target=y, raw=raw, image=image)
    return path


def save_class_predictions(
    work_dir: str | Path, experience: int, dataset: str, predictions: ClassPredictions
) -> Path:
    """Write the logits of the model after an experience atomically; return the file's path.

    Raises:
        EvaluationError: The arrays do not fit together, or a target is no class.
    """
    path = prediction_path(work_dir, experience, dataset)
    _check_classes(predictions, EvaluationError, str(path))
    write_npz(
        path,
        logits=np.asarray(predictions.logits, dtype=np.float32),
        target=np.asarray(predictions.target, dtype=np.int64),
        image=np.asarray(predictions.image, dtype=np.str_),
        classes=np.asarray(predictions.classes, dtype=np.str_),
    )
    return path


def load_predictions(work_dir: str | Path, experience: int, dataset: str) -> ScorePredictions:
    """Read the scores predicted after an experience.

    Raises:
        ArtifactError: The file is missing, damaged, or lacks an array.
    """
    path = prediction_path(work_dir, experience, dataset)
    arrays = _read_arrays(path, ("prediction", "target", "raw", "image"))
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) != 1 for shape in shapes.values()):
        raise ArtifactError(f"{path}: its arrays must have one dimension, got {shapes}.")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ArtifactError(f"{path}: its arrays differ in length: {lengths}.")
    _check_kinds(path, arrays)
    return ScorePredictions(**arrays)


def load_class_predictions(work_dir: str | Path, experience: int, dataset: str) -> ClassPredictions:
    """Read the logits of the model after an experience.

    Raises:
        ArtifactError: The file is missing or damaged, lacks an array, or has some that do not fit
            together.
    """
    path = prediction_path(work_dir, experience, dataset)
    arrays = _read_arrays(path, ("logits", "target", "image", "classes"))
    _check_kinds(path, {name: arrays[name] for name in ("logits", "target")})
    predictions = ClassPredictions(**arrays)
    _check_classes(predictions, ArtifactError, str(path))
    _check_kinds(path, arrays)
    return predictions


def prediction_grid(
    work_dir: str | Path, datasets: Sequence[str], experiences: int
) -> list[list[np.ndarray]]:
    """Return ``grid[t][k]``, (N_k,), for every k <= t < T: what `matrix.stability` takes.

    Raises:
        ArtifactError: A file is missing or damaged.
    """
    return [
        [load_predictions(work_dir, t, name).prediction for name in datasets[: t + 1]]
        for t in range(experiences)
    ]


def _read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return named arrays of an ``.npz`` file."""
    try:
        return read_npz(path, names)
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{path}: missing. Evaluate the run again to write its predictions."
        ) from error
    except KeyError as error:
        raise ArtifactError(f"{path}: {error.args[0]}.") from error
    except (OSError, ArchiveError) as error:
        raise ArtifactError(
            f"{path}: damaged ({error}). Evaluate the run again to replace it."
        ) from error


def _check_kinds(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays that hold text where numbers belong, or the reverse (`TEXTS`)."""
    for name, array in arrays.items():
        if array.dtype.kind not in ("U" if name in TEXTS else "fiu"):
            raise ArtifactError(
                f"{path}: '{name}' holds {array.dtype}. Evaluate the run again to replace it."
            )


def _check_classes(predictions: ClassPredictions, error: type[Exception], where: str) -> None:
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
