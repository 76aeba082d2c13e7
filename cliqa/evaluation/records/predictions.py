"""Predictions of every model of a run on every data set, as files of its work_dir.

``predictions/after_{t}.npz`` holds what the model after experience t (from 0) predicts for the test
sets of all data sets: scores, or logits of classes. An array is named after its data set and what
it is: ``koniq/prediction``. Runs of earlier versions have a file a data set,
``after_{t}_on_{name}.npz``, which is read too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import numpy as np

from cliqa.evaluation.functional import as_pair, as_scores
from cliqa.utils.archive import ArchiveError, array_names, read_npz
from cliqa.utils.errors import ArtifactError, EvaluationError
from cliqa.utils.io import write_npz

TEXTS = ("image", "classes")
"""Arrays of text."""

FOLDER = "predictions"

T = TypeVar("T")


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

    def arrays(self, where: str) -> dict[str, np.ndarray]:
        """Return the arrays to be stored; `where` is for messages.

        Raises:
            EvaluationError: They differ in length, or a true score is not finite.
        """
        x, y = np.asarray(self.prediction), self.target
        if np.isfinite(x).all():
            x, y = as_pair(x, y)
        raw, image = as_scores(self.raw, "raw"), np.asarray(self.image, dtype=np.str_)
        if raw.shape != x.shape or image.shape != x.shape:
            raise EvaluationError(
                f"{where}: {x.size} predictions with {raw.size} raw scores and {image.size} file "
                "names."
            )
        return {"prediction": x, "target": y, "raw": raw, "image": image}

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

    def arrays(self, where: str) -> dict[str, np.ndarray]:
        """Return the arrays to be stored; `where` is for messages.

        Raises:
            EvaluationError: They do not fit together, or a target is no class.
        """
        _check_classes(self, EvaluationError, where)
        return {
            "logits": np.asarray(self.logits, dtype=np.float32),
            "target": np.asarray(self.target, dtype=np.int64),
            "image": np.asarray(self.image, dtype=np.str_),
            "classes": np.asarray(self.classes, dtype=np.str_),
        }


Predictions = ScorePredictions | ClassPredictions


def prediction_path(work_dir: str | Path, experience: int) -> Path:
    """Return where the predictions of the model after an experience lie."""
    return Path(work_dir) / FOLDER / f"after_{experience}.npz"


def array_name(dataset: str, what: str = "") -> str:
    """Return the name of a data set's array; what a file's name cannot hold is percent-quoted.

    >>> array_name("koniq", "target"), array_name("a/b", "raw")
    ('koniq/target', 'a%2Fb/raw')
    """
    return f"{quote(dataset, safe=' +,()[]=')}/{what}"


def save_predictions(
    work_dir: str | Path, experience: int, found: Mapping[str, Predictions], *, add: bool = False
) -> Path:
    """Write what is predicted after an experience atomically; return the file's path.

    Predictions of a model that has diverged are written as they are.

    Args:
        work_dir: The run's folder.
        experience: The experience that was learnt last.
        found: The predictions by data set.
        add: Keep what the file has of other data sets.

    Raises:
        EvaluationError: The arrays of a data set do not fit together, or a true score is not
            finite.
        ArtifactError: The file to add to is damaged.
    """
    path = prediction_path(work_dir, experience)
    arrays = _kept(path, found) if add and path.is_file() else {}
    for dataset, predictions in found.items():
        own = predictions.arrays(f"{path}: {dataset}")
        arrays |= {array_name(dataset, what): array for what, array in own.items()}
    write_npz(path, **arrays)
    return path


def _kept(path: Path, found: Mapping[str, Predictions]) -> dict[str, np.ndarray]:
    """Return a file's arrays, without those of some data sets."""
    names = _read(path, array_names)
    replaced = tuple(map(array_name, found))
    kept = [name for name in names if not name.startswith(replaced)]
    return _read(path, partial(read_npz, names=kept))


def has_predictions(work_dir: str | Path, experience: int, dataset: str) -> bool:
    """Return whether a run has stored what it predicts for a data set after an experience.

    Raises:
        ArtifactError: The file is damaged.
    """
    path = prediction_path(work_dir, experience)
    if not path.is_file():
        return _earlier_path(work_dir, experience, dataset).is_file()
    return any(name.startswith(array_name(dataset)) for name in _read(path, array_names))


def load_predictions(work_dir: str | Path, experience: int, dataset: str) -> ScorePredictions:
    """Read the scores predicted after an experience.

    Raises:
        ArtifactError: The file is missing, damaged, or lacks an array.
    """
    path, arrays = _arrays(work_dir, experience, dataset, ("prediction", "target", "raw", "image"))
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
    path, arrays = _arrays(work_dir, experience, dataset, ("logits", "target", "image", "classes"))
    _check_kinds(path, {name: arrays[name] for name in ("logits", "target")})
    predictions = ClassPredictions(**arrays)
    _check_classes(predictions, ArtifactError, path)
    _check_kinds(path, arrays)
    return predictions


def _arrays(
    work_dir: str | Path, experience: int, dataset: str, names: Sequence[str]
) -> tuple[str, dict[str, np.ndarray]]:
    """Return where a data set's arrays lie, for messages, and the arrays."""
    path, earlier = (
        prediction_path(work_dir, experience),
        _earlier_path(work_dir, experience, dataset),
    )
    if not path.is_file() and earlier.is_file():
        return str(earlier), _read(earlier, partial(read_npz, names=names))
    whole = [array_name(dataset, name) for name in names]
    arrays = _read(path, partial(read_npz, names=whole))
    return f"{path}: {dataset}", {name: arrays[array_name(dataset, name)] for name in names}


def _earlier_path(work_dir: str | Path, experience: int, dataset: str) -> Path:
    """Return where earlier versions put the predictions for a data set."""
    name = array_name(dataset).removesuffix("/")
    return Path(work_dir) / FOLDER / f"after_{experience}_on_{name}.npz"


def _read(path: Path, read: Callable[[Path], T]) -> T:
    """Return what reading an ``.npz`` file gives."""
    try:
        return read(path)
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


def _check_kinds(path: str, arrays: Mapping[str, np.ndarray]) -> None:
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
