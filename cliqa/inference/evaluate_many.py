"""What ``tools/evaluate.py`` does with checkpoints and exported files: no config is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cliqa.config.trust import built_from
from cliqa.engine.check import check_config
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run
from cliqa.engine.work_dir.saved_config import config_to_build
from cliqa.evaluation.comparison import compare_evaluations
from cliqa.inference.candidate import Candidate, Request
from cliqa.inference.exported_candidate import ExportedCandidate
from cliqa.inference.image_model import is_exported
from cliqa.inference.measure import measure
from cliqa.utils.errors import CheckpointError, CliqaError, ConfigError
from cliqa.utils.io import write_json
from cliqa.utils.logging import get_logger
from cliqa.utils.paths import check_output_files

logger = get_logger(__name__)

FILE_NAME = "eval_results.json"


def evaluate_checkpoints(
    checkpoints: Sequence[str | Path],
    request: Request,
    device: torch.device,
    out: str | Path | None = None,
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Evaluate checkpoints on data sets and write an eval_results.json of each.

    Everything is checked before the first image is read.

    Args:
        checkpoints: Checkpoints, work_dirs, whose last checkpoint is meant, and exported files.
        request: What is to be evaluated, and how.
        device: Where to compute.
        out: For one checkpoint, a file whose name ends in ``.json``; for any number a folder, which
            gets ``{label}/eval_results.json``. None for the runs' own folders.

    Returns:
        What was written by the checkpoints' labels, and the comparison of every two of them.

    Raises:
        CliqaError: With a line for every mistake in the checkpoints, the data and the options.
    """
    if out is not None and Path(out).suffix == ".json" and len(checkpoints) > 1:
        raise ConfigError(
            f"--out {out}: there are {len(checkpoints)} checkpoints, and one file holds one. Give "
            "a folder."
        )
    paths = _find(checkpoints)
    labels = labels_of(paths)
    targets = dict(zip(labels, _targets(paths, labels, out), strict=True))
    check_output_files(targets.values(), "results" if out is None else "--out")
    candidates = _open(dict(zip(labels, paths, strict=True)), request, device)
    _check_kinds(candidates)
    results = dict(zip(labels, measure(list(candidates.values())), strict=True))
    comparisons = compare_evaluations(results)
    for label, evaluation in results.items():
        own = [row for row in comparisons if label in (row["a"], row["b"])]
        write_json(targets[label], {**evaluation, "comparisons": own})
        logger.info("written: %s", targets[label])
    return results, comparisons


def labels_of(paths: Sequence[Path]) -> list[str]:
    """Return a short name for every checkpoint: its run's, with its own where that is not the last.

    An exported file keeps its name.

    Where two are called the same, as much of the path as tells them apart.

    >>> labels_of([Path("w/demo/checkpoints/last.pth"), Path("w/demo/checkpoints/exp_0.pth")])
    ['demo', 'demo-exp_0']
    >>> labels_of([Path("a/0/checkpoints/last.pth"), Path("b/0/checkpoints/last.pth")])
    ['a-0', 'b-0']
    >>> labels_of([Path("w/demo/checkpoints/last.pth"), Path("w/demo/model_int8.onnx")])
    ['demo', 'model_int8.onnx']
    """
    named = [_parts(path.resolve()) for path in paths]
    depth = 1
    while True:
        labels = ["-".join([*run[-depth:], *own]) for run, own in named]
        if len(set(labels)) == len(labels) or depth >= max(len(run) for run, _ in named):
            return labels
        depth += 1


def _parts(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the folders that a checkpoint's run lies in, and the checkpoint's own name."""
    if is_exported(path):
        return (*path.parent.parts[1:], path.name), ()
    if path.parent.name != "checkpoints":
        return (*path.parent.parts[1:], path.stem), ()
    return path.parent.parent.parts[1:], () if path.stem == "last" else (path.stem,)


def _find(checkpoints: Sequence[str | Path]) -> list[Path]:
    """Return the checkpoints' files; raise for all that are missing, and for one given twice."""
    found: list[Path] = []
    mistakes: list[str] = []
    for given in checkpoints:
        try:
            found.append(Path(given) if is_exported(given) else find_checkpoint(given))
        except CheckpointError as error:
            mistakes.append(str(error))
    resolved = [path.resolve() for path in found]
    twice = {str(path) for path in found if resolved.count(path.resolve()) > 1}
    mistakes += [f"{path}: given twice. Give every checkpoint once." for path in sorted(twice)]
    if mistakes:
        raise CheckpointError("\n".join(mistakes))
    return found


def _targets(paths: Sequence[Path], labels: Sequence[str], out: str | Path | None) -> list[Path]:
    """Return the file to write for every checkpoint."""
    if out is not None and Path(out).suffix == ".json":
        return [Path(out)]
    if out is not None:
        return [Path(out) / label / FILE_NAME for label in labels]
    stems = [path.name.replace(".", "_") if is_exported(path) else path.stem for path in paths]
    names = [FILE_NAME if stem == "last" else f"eval_results_{stem}.json" for stem in stems]
    folders = [
        path.parent.parent if path.parent.name == "checkpoints" else path.parent for path in paths
    ]
    return [folder / name for folder, name in zip(folders, names, strict=True)]


def _open(
    checkpoints: Mapping[str, Path], request: Request, device: torch.device
) -> dict[str, Candidate]:
    """Return all candidates, or raise all their mistakes at once."""
    candidates: dict[str, Candidate] = {}
    mistakes: dict[str, list[str]] = {}
    for label, path in checkpoints.items():
        try:
            candidates[label] = open_checkpoint(path, request, device)
        except CliqaError as error:
            mistakes.setdefault(str(error), []).append(label)
    if mistakes:
        everywhere = len(checkpoints)
        raise ConfigError(
            "\n".join(
                text if len(labels) == everywhere else f"{', '.join(labels)}: {text}"
                for text, labels in mistakes.items()
            )
        )
    return candidates


def open_checkpoint(path: Path, request: Request, device: torch.device) -> Candidate:
    """Return a checkpoint or an exported file as a candidate under the config that it holds.

    Args:
        path: The checkpoint or file.
        request: What is to be evaluated.
        device: Where to compute; exported files are computed on the CPU.

    Raises:
        CliqaError: The checkpoint, its data or the request is wrong.
    """
    if is_exported(path):
        with built_from(path):
            return ExportedCandidate(path, None, str(path), request)
    state = load_run(path)
    config = config_to_build(state)
    with built_from(path):
        config = check_config({**config, "num_workers": 0})
        folder = path.parent.parent
        return Candidate(path, state, config, f"{path}: config", device, request, folder)


def _check_kinds(candidates: Mapping[str, Candidate]) -> None:
    """Refuse to compare models of scores with models of classes."""
    kinds = {label: candidate.kind for label, candidate in candidates.items()}
    if len(set(kinds.values())) > 1:
        given = ", ".join(f"{label}: {kind}" for label, kind in kinds.items())
        raise ConfigError(
            f"models of scores and of classes cannot be compared ({given}). Evaluate each kind "
            "in a call of its own."
        )
