"""Evaluate checkpoints and exported files: what ``cliqa test`` and ``cliqa evaluate`` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cliqa.deploy.backends import backend_of
from cliqa.engine.check import check_config
from cliqa.engine.sections import run_folder, with_command_line
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run
from cliqa.engine.work_dir.config_growth import with_stages
from cliqa.engine.work_dir.same_run import check_fits
from cliqa.evaluation.comparison import compare_evaluations
from cliqa.evaluation.records.gates import gate_notes
from cliqa.evaluation.records.table_styles import Table, noted, render
from cliqa.evaluation.records.tables import number
from cliqa.inference.evaluation_model import (
    CheckpointEvaluation,
    EvaluationModel,
    ExportedEvaluation,
    open_evaluation,
)
from cliqa.inference.evaluation_pass import evaluate_models
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.inference.execution.precision import Execution
from cliqa.inference.exported_model import ExportedModel
from cliqa.utils.device import resolve_device
from cliqa.utils.errors import CheckpointError, CliqaError, ConfigError
from cliqa.utils.io import write_json
from cliqa.utils.logging import get_logger, setup_logging
from cliqa.utils.paths import check_output_file, check_output_files

logger = get_logger(__name__)

FILE_NAME = "eval_results.json"

Results = dict[str, Any]
"""The content of an ``eval_results.json``."""


def evaluate(
    config: dict[str, Any],
    *,
    config_file: str | Path,
    checkpoint: str | Path | None = None,
    exported: str | Path | None = None,
    data_sets: Sequence[str] = (),
    split: str = "test",
    out: str | Path | None = None,
    work_dir: str | Path | None = None,
    device: str = "auto",
    seed: int | None = None,
    allow_changed_data: bool = False,
    execution: Execution | None = None,
) -> Results:
    """Evaluate a checkpoint or an exported model under a config and write eval_results.json.

    Args:
        config: The config, as loaded.
        config_file: Where it was loaded from.
        checkpoint: A checkpoint or a work_dir; None for the config's own work_dir.
        exported: An exported file to evaluate instead of a checkpoint.
        data_sets: Names of the config's data sets, or others as ``TYPE=ROOT`` or ``dict(...)``;
            none for all of the config's.
        split: ``"test"``, ``"val"``, ``"train"`` or ``"all"``.
        out: The file to write; None for eval_results.json in the checkpoint's run, or for
            eval_results_model_onnx.json (or so) beside the exported file.
        work_dir: The run's folder, if it is not the config's own.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        seed: Overrides the config's seed, which decides over generated data and splits.
        allow_changed_data: Evaluate the run's data sets even if they have changed since.
        execution: How the model is computed; None for as its run does itself.

    Returns:
        The content of the file.

    Raises:
        CliqaError: The config, the data or the checkpoint is wrong.
    """
    setup_logging()
    if exported is not None and checkpoint is not None:
        raise ConfigError(f"{checkpoint} and --exported {exported}: two models. Give one of them.")
    target = resolve_device(device)
    config = with_command_line(config, seed=seed)
    folder = run_folder(config, config_file, work_dir)
    request = EvalRequest(
        data_sets=data_sets,
        split=split,
        allow_changed_data=allow_changed_data,
        execution=execution,
    )
    model: EvaluationModel
    if exported is None:
        path = find_checkpoint(checkpoint or folder)
        config = check_config(config)
        state = load_run(path)
        check_fits(state, config, path)
        config = with_stages(config, state["config"])
        model = CheckpointEvaluation(path, state, config, str(config_file), target, request, folder)
        default = path.parent.parent / FILE_NAME
    else:
        file = ExportedModel(exported, str(target), execution)
        model = ExportedEvaluation(file, check_config(config), str(config_file), request)
        default = _default_target(model.path)
    target_file = Path(out) if out else default
    check_output_file(target_file, "--out" if out else "results")
    (results,) = evaluate_models([model])
    write_json(target_file, results)
    logger.info("written: %s", target_file)
    return results


def evaluate_checkpoints(
    checkpoints: Sequence[str | Path],
    request: EvalRequest,
    device: torch.device,
    out: str | Path | None = None,
) -> tuple[dict[str, Results], list[dict[str, Any]]]:
    """Evaluate checkpoints and exported files, each under the config that it holds.

    Everything is checked before the first image is read. An eval_results.json of each is written.

    Args:
        checkpoints: Checkpoints, work_dirs, whose last checkpoint is used, and exported files.
        request: Which data are evaluated, and how.
        device: Where to compute.
        out: For one checkpoint, a file whose name ends in ``.json``; for any number a folder, which
            gets ``{label}/eval_results.json``. None for the runs' own folders.

    Returns:
        The contents of the files by the checkpoints' labels, and the comparisons of all pairs.

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
    models = _open(dict(zip(labels, paths, strict=True)), request, device)
    _check_kinds(models)
    results = dict(zip(labels, evaluate_models(list(models.values())), strict=True))
    comparisons = compare_evaluations(results)
    for label, evaluation in results.items():
        own = [row for row in comparisons if label in (row["a"], row["b"])]
        write_json(targets[label], {**evaluation, "comparisons": own})
        logger.info("written: %s", targets[label])
    return results, comparisons


def labels_of(paths: Sequence[Path]) -> list[str]:
    """Return a short label for every checkpoint or exported file.

    It is the run's name, with the checkpoint's own unless it is the last; an exported file keeps
    its name. Where two would be equal, as many folders are added as make them differ.

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
    if backend_of(path):
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
            found.append(Path(given) if backend_of(given) else find_checkpoint(given))
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
    return [_default_target(path) for path in paths]


def _default_target(path: Path) -> Path:
    """Return the file of results in a run's work_dir, or beside an exported file.

    >>> _default_target(Path("w/demo/model.onnx")).as_posix()
    'w/demo/eval_results_model_onnx.json'
    """
    stem = path.name.replace(".", "_") if backend_of(path) else path.stem
    name = FILE_NAME if stem == "last" else f"eval_results_{stem}.json"
    return (path.parent.parent if path.parent.name == "checkpoints" else path.parent) / name


def _open(
    checkpoints: Mapping[str, Path], request: EvalRequest, device: torch.device
) -> dict[str, EvaluationModel]:
    """Return all models by label, or raise all their mistakes at once."""
    models: dict[str, EvaluationModel] = {}
    mistakes: dict[str, list[str]] = {}
    for label, path in checkpoints.items():
        try:
            models[label] = open_evaluation(path, request, device)
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
    return models


def _check_kinds(models: Mapping[str, EvaluationModel]) -> None:
    """Refuse to compare models of scores with models of classes."""
    kinds = {label: model.data.kind for label, model in models.items()}
    if len(set(kinds.values())) > 1:
        given = ", ".join(f"{label}: {kind}" for label, kind in kinds.items())
        raise ConfigError(
            f"models of scores and of classes cannot be compared ({given}). Evaluate each kind "
            "in a call of its own."
        )


def evaluation_table(results: Mapping[str, Any]) -> str:
    """Return what ``cliqa test`` prints: a row for each data set or experience."""
    of_classes = results.get("protocol", {}).get("targets") == "classes"
    main, *others = (
        ("accuracy", "accuracy_task_il")
        if of_classes
        else ("srcc", "plcc", "plcc_fit", "krcc", "rmse")
    )
    header = (
        ("experience", "samples", "accuracy", "95 %", "task-IL")
        if of_classes
        else ("data set", "images", "SRCC", "95 %", "PLCC", "PLCC fit", "KRCC", "RMSE")
    )
    rows = []
    for name, data in results["datasets"].items():
        metrics = data["metrics"]
        band = (metrics.get("interval") or {}).get(main)
        interval = f"{band[0]:.3f}..{band[1]:.3f}" if band else "n/a"
        values = [number(metrics.get(key)) for key in others]
        rows.append((name, str(metrics["n"]), number(metrics[main]), interval, *values))
    absent = results.get("absent", {})
    rows += [(name, *["n/a"] * (len(header) - 1)) for name in absent]
    title = f"After {results['experiences_learnt']} experience(s)"
    notes = [f"{name}: not there any more: {why}" for name, why in absent.items()]
    notes += gate_notes(results.get("gate", {}))
    return render(Table(title, header, tuple(rows))) + (noted(notes, "text") if notes else "")
