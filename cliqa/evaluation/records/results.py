"""``results.json``: the results of a run, and how the file is read and checked.

The form, with T finished experiences and K data sets; ``null`` = not defined, with the reason in
``warnings``::

    {"status": "finished",                     "running" while experiences are to come,
                                               "stopped" after as many as were asked for
     "seed": 0, "config": "config/iqa_replay.py",
     "joint": false,                           true: one row, after training on all data at once
     "experiences": ["eva", "ava", "koniq"],   all that the stream has, finished or not
     "datasets": ["eva", "ava", "koniq"],      number k < T is the one of experience k; then others
     "unseen": ["kadid"],                      of them, those never trained on; absent: none
     "images": [814, 19930, 2015],             test images per data set
     "matrix": {"srcc": [[...], ...], "plcc": [[...], ...]},            T x K
     "interval": {"srcc": [[[low, high], ...], ...]},                   T x K, 95 % bootstrap
     "summary": {"msrcc": 0.81, "mpi": 0.84, "msi": 0.9, "mpsi": 0.87, "bwt": -0.03, ...},
     "seconds": {"train": [...], "eval": [...], "train_cpu": [...]},  the last: of the process
     "memory": {"peak": [...], "kept": [...]},  bytes: highest so far; of weights and state
     "parameters": {"all": [...], "trained": [...]},
     "gate": {"own_weight": [[...], ...]},      T x K, only of runs with a gate: see `gates`
     "warnings": ["after eva on ava: constant prediction", "bwt: it needs two experiences ..."]}

Row t is the model after experience t. The measures are those of the rows: ``srcc plcc plcc_fit krcc
rmse rmse_fit`` for scores, ``accuracy accuracy_task_il`` for classes. `summary.MEANINGS` explains
the summary; a warning about one of its numbers begins with that number's name and a colon.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cliqa.utils.errors import ArtifactError

Results = dict[str, Any]
"""The content of ``results.json``."""

FILE_NAME = "results.json"

MOST_BYTES = 256 * 2**20
"""The largest record that is read."""


def main_measure(results: Results) -> str:
    """Return a run's main measure: ``srcc``, else ``accuracy``, else its first."""
    known = results["matrix"]
    return next((name for name in ("srcc", "accuracy") if name in known), next(iter(known)))


def row_labels(results: Results) -> list[str]:
    """Return a label for every row of the matrices: ``after eva``."""
    if results.get("joint"):
        return ["after joint training"]
    count = len(next(iter(results["matrix"].values())))
    return [f"after {name}" for name in results["experiences"][:count]]


def column_labels(results: Results) -> list[str]:
    """Return a label for every column: the data set, marked if it is never trained on.

    >>> column_labels({"datasets": ["eva", "kadid"], "unseen": ["kadid"]})
    ['eva', 'kadid (unseen)']
    """
    unseen = results.get("unseen", ())
    return [f"{name} (unseen)" if name in unseen else name for name in results["datasets"]]


def load_results(path: str | Path) -> Results:
    """Read and check the ``results.json`` of a path or a work_dir; optional parts may be empty.

    Raises:
        ArtifactError: The file is missing, is no JSON, or lacks a part.
    """
    advice = "A run writes it after its first experience; is this a work_dir?"
    found, content = read_artifact(path, FILE_NAME, advice)
    return check_results(content, str(found))


def read_artifact(path: str | Path, name: str, advice: str) -> tuple[Path, Any]:
    """Return where a JSON file of a run lies, and what it holds.

    `path` is the file, or the folder that holds it by `name`.

    Raises:
        ArtifactError: It is missing (then with the advice), or no JSON.
    """
    path = Path(path)
    path = path if path.suffix == ".json" else path / name
    try:
        _check_file(path)
        return path, json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: missing. {advice}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: cannot be read as JSON ({error}).") from error


def _check_file(path: Path) -> None:
    """Refuse what cannot be a record: a pipe would be waited for, and a huge file fills the memory.

    Raises:
        OSError: It is missing, no regular file, or too large.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError("it is no regular file")
    if found.st_size > MOST_BYTES:
        raise OSError(f"it has {found.st_size / 2**20:.0f} MiB, at most {MOST_BYTES // 2**20}")


def check_results(content: object, where: str) -> Results:
    """Return the content of a ``results.json`` after checking its form.

    Raises:
        ArtifactError: A part is missing or has the wrong form.
    """
    if not isinstance(content, dict):
        raise ArtifactError(f"{where}: expected an object, got {type(content).__name__}.")
    for key, kind in _PARTS.items():
        if key not in content:
            raise ArtifactError(f"{where}: '{key}' is missing.")
        if not isinstance(content[key], kind):
            raise ArtifactError(f"{where}: '{key}' should be a {kind.__name__}.")
        if kind is list and not all(isinstance(name, str) for name in content[key]):
            raise ArtifactError(f"{where}: '{key}' should hold names.")
    defaults: Results = {
        "joint": False,
        "seed": None,
        "config": None,
        "interval": {},
        "seconds": {},
        "memory": {},
        "parameters": {},
    }
    results: Results = {**defaults, "warnings": [], **content}
    if not results["matrix"]:
        raise ArtifactError(f"{where}: 'matrix' holds no measure.")
    sizes, columns = set(), len(results["datasets"])
    for measure, matrix in results["matrix"].items():
        _check_cells(matrix, columns, _is_score, f"{where}: matrix.{measure}")
        sizes.add(len(matrix))
    for measure, bands in results["interval"].items():
        _check_cells(bands, columns, _is_interval, f"{where}: interval.{measure}")
        sizes.add(len(bands))
    limit = 1 if results["joint"] else len(results["experiences"])
    if len(sizes) > 1 or not 1 <= max(sizes) <= limit:
        raise ArtifactError(
            f"{where}: the matrices have {sorted(sizes)} rows for {limit} experiences."
        )
    return results


_PARTS = {"status": str, "experiences": list, "datasets": list, "matrix": dict, "summary": dict}


def _is_score(cell: object) -> bool:
    """Return whether a cell is a number."""
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _is_interval(cell: object) -> bool:
    """Return whether a cell is [low, high]."""
    return isinstance(cell, list) and len(cell) == 2 and all(map(_is_score, cell))


def _check_cells(
    matrix: object,
    columns: int,
    is_cell: Callable[[object], bool],
    where: str,
) -> None:
    """Refuse anything but a list of rows with one valid cell or null per data set."""
    if not isinstance(matrix, list):
        raise ArtifactError(f"{where} should be a list of rows.")
    for t, row in enumerate(matrix):
        if not isinstance(row, list) or len(row) != columns:
            size = len(row) if isinstance(row, list) else "no"
            raise ArtifactError(f"{where}, row {t}: {size} entries for {columns} data sets.")
        for k, cell in enumerate(row):
            if cell is not None and not is_cell(cell):
                raise ArtifactError(f"{where}, row {t}, column {k}: {cell!r} is no score.")
