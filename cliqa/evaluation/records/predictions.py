"""Predictions of every model of a run on every data set, as files of its work_dir.

``predictions/after_{t}_on_{name}.npz`` holds what the model after experience t (from 0) says about
the test set of a data set. Figures and the stability index are drawn from these files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from cliqa.evaluation.functional import as_pair, as_scores
from cliqa.utils.archive import ArchiveError, read_npz
from cliqa.utils.errors import ArtifactError, EvaluationError
from cliqa.utils.io import write_npz

ARRAYS = ("prediction", "target", "raw", "image")
TEXTS = ("image", "classes")
"""Arrays of text."""


@dataclass(frozen=True)
class Predictions:
    """What one model says about one test set of N images.

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


def prediction_path(work_dir: str | Path, experience: int, dataset: str) -> Path:
    """Return where the predictions of the model after an experience lie.

    Args:
        work_dir: The run's folder.
        experience: Index t of the experience, from 0.
        dataset: The data set's name; what a file name cannot hold is percent-quoted.
    """
    name = quote(dataset, safe=" +,()[]=")
    return Path(work_dir) / "predictions" / f"after_{experience}_on_{name}.npz"


def save_predictions(
    work_dir: str | Path, experience: int, dataset: str, predictions: Predictions
) -> Path:
    """Write the predictions of the model after an experience atomically; return the file's path.

    Raises:
        EvaluationError: The arrays differ in length, or a score is not finite.
    """
    x, y = as_pair(predictions.prediction, predictions.target)
    raw, image = as_scores(predictions.raw, "raw"), np.asarray(predictions.image, dtype=np.str_)
    if raw.shape != x.shape or image.shape != x.shape:
        raise EvaluationError(
            f"{x.size} predictions with {raw.size} raw scores and {image.size} file names."
        )
    path = prediction_path(work_dir, experience, dataset)
    write_npz(path, prediction=x, target=y, raw=raw, image=image)
    return path


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return named arrays of an ``.npz`` file.

    Raises:
        ArtifactError: The file is missing, damaged, or lacks an array.
    """
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
            f"{path}: damaged ({error}). Evaluate the run again to write it anew."
        ) from error


def check_kinds(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays that hold text where numbers belong, or the reverse (`TEXTS`).

    Raises:
        ArtifactError: One does.
    """
    for name, array in arrays.items():
        if array.dtype.kind not in ("U" if name in TEXTS else "fiu"):
            raise ArtifactError(
                f"{path}: '{name}' holds {array.dtype}. Evaluate the run again to write it anew."
            )


def load_predictions(work_dir: str | Path, experience: int, dataset: str) -> Predictions:
    """Read the predictions of the model after an experience.

    Raises:
        ArtifactError: The file is missing, damaged, or lacks an array.
    """
    path = prediction_path(work_dir, experience, dataset)
    arrays = read_arrays(path, ARRAYS)
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) != 1 for shape in shapes.values()):
        raise ArtifactError(f"{path}: its arrays must have one dimension, got {shapes}.")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ArtifactError(f"{path}: its arrays differ in length: {lengths}.")
    check_kinds(path, arrays)
    return Predictions(**arrays)


def prediction_grid(
    work_dir: str | Path, datasets: Sequence[str], experiences: int
) -> list[list[np.ndarray]]:
    """Return ``grid[t][k]``, (N_k,), for every k <= t: what `matrix.stability` takes.

    Args:
        work_dir: The run's folder.
        datasets: Names of the data sets; number k is the one of experience k.
        experiences: How many experiences T have been finished.

    Raises:
        ArtifactError: A file is missing or damaged.
    """
    return [
        [load_predictions(work_dir, t, name).prediction for name in datasets[: t + 1]]
        for t in range(experiences)
    ]
