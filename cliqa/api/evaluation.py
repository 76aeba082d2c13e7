"""Trained models measured on data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cliqa.api.models import HasWorkDir, path_of
from cliqa.config.trust import trusting
from cliqa.datasets.labels.scale import Scale
from cliqa.inference.evaluate import evaluate_checkpoints
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.inference.execution.precision import asked_execution
from cliqa.transforms.protocol import parse_protocol
from cliqa.utils.device import resolve_device
from cliqa.utils.errors import ConfigError

SPLITS = ("test", "val", "train", "all")


def evaluate(
    models: str | Path | HasWorkDir | Sequence[str | Path | HasWorkDir],
    datasets: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = (),
    *,
    split: str = "test",
    score_range: tuple[float, float] | None = None,
    higher_is_better: bool = True,
    crops: str | None = None,
    crop_size: int | None = None,
    seed: int = 0,
    device: str = "auto",
    batch_size: int | None = None,
    num_workers: int | None = None,
    out: str | Path | None = None,
    allow_changed_data: bool = False,
    dataset_root: str | Path | None = None,
    precision: str | None = None,
    compiled: bool = False,
    trust: bool = False,
) -> pd.DataFrame:
    """Measure one or several models on data sets, each with its own preprocessing.

    An ``eval_results.json`` with all predictions is written for every model.

    Args:
        models: What `train` returned, a work_dir, a checkpoint or an exported file; or several.
        datasets: Names of the run's data sets; others as ``"TYPE=ROOT"``, as
            ``"FILE=IMAGE_ROOT"`` (a csv, json or xlsx of scores), or as in a config:
            ``dict(type=..., root=...)``. None of them: all of the run's.
        split: ``"test"``, ``"val"``, ``"train"`` or ``"all"``.
        score_range: Scale of the scores in files, (low, high).
        higher_is_better: Direction of the scores in files.
        crops: Average over crops: ``"grid:5x5"`` or ``"random:25"``; by default as trained.
        crop_size: Edge of a crop in pixels; by default that of the model's own crops.
        seed: Seed of random crops.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        batch_size: Images per batch; by default the run's.
        num_workers: Processes that read images; by default threads do, one for each CPU.
        out: Where to write: a ``.json`` file for one model, else a folder; by default each
            run's own folder.
        allow_changed_data: Measure the run's data sets although their files have changed.
        dataset_root: Where the run's data sets lie now; by default where it read them.
        precision: ``"float32"``, ``"bfloat16"``, ``"float16"`` (CUDA), or ``"auto"``: bfloat16
            where the device computes it fast; by default as each run evaluated itself.
        compiled: Compile the networks with ``torch.compile``.
        trust: Let the files name any component and import their run's modules.

    Returns:
        A row per model and data set: ``model``, ``dataset``, ``n`` images, every measure, and
        ``srcc_low``, ``srcc_high`` ... for its 95 % interval. Of several models,
        ``attrs["comparisons"]`` lists the paired comparison of every two of them.

    Raises:
        CliqaError: With a line for every mistake in the models, the data and the options.
    """
    if split not in SPLITS:
        raise ConfigError(f"evaluate: split='{split}' is unknown. Use {', '.join(SPLITS)}.")
    several: Sequence[str | Path | HasWorkDir] = (
        models if isinstance(models, Sequence) and not isinstance(models, str) else [models]
    )
    listed = [datasets] if isinstance(datasets, (str, Mapping)) else datasets
    with trusting(trust):
        request = EvalRequest(
            data_sets=[_as_text(each) for each in listed],
            split=split,
            protocol=parse_protocol(crops, crop_size, None, seed),
            scale=Scale(*score_range, higher_is_better) if score_range else None,
            batch_size=batch_size,
            num_workers=num_workers,
            allow_changed_data=allow_changed_data,
            dataset_root=None if dataset_root is None else str(dataset_root),
            execution=asked_execution(precision, compiled),
        )
        paths = [path_of(model) for model in several]
        found, comparisons = evaluate_checkpoints(paths, request, resolve_device(device), out)
    rows = [
        {"model": label, "dataset": name, **_measures(entry["metrics"])}
        for label, evaluation in found.items()
        for name, entry in evaluation["datasets"].items()
    ]
    table = pd.DataFrame(rows)
    table.attrs["comparisons"] = comparisons
    return table


def _as_text(data_set: str | Mapping[str, Any]) -> str:
    """Return a data set as the command line takes it."""
    if isinstance(data_set, str):
        return data_set
    return f"dict({', '.join(f'{key}={value!r}' for key, value in data_set.items())})"


def _measures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of one evaluation, each with its interval."""
    row: dict[str, Any] = {"n": metrics["n"]}
    bands = metrics.get("interval") or {}
    for name, value in metrics.items():
        number = value is None or isinstance(value, (int, float))
        if name in ("n", "n_ties") or not number:
            continue
        row[name] = float("nan") if value is None else float(value)
        if name in bands:
            row[f"{name}_low"], row[f"{name}_high"] = bands[name] or (float("nan"),) * 2
    return row
