"""What ``test_config.py`` does with a config and a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

import numpy as np

from cliqa.benchmarks.experience import named_stream
from cliqa.benchmarks.quality_stream import with_transforms
from cliqa.config import default_work_dir
from cliqa.datasets.base import QualityDataset
from cliqa.datasets.sharing import find_shared
from cliqa.engine.build import build_model_and_strategy
from cliqa.engine.check import check_config
from cliqa.engine.checkpoints import check_fits, find_checkpoint, load_run
from cliqa.engine.data_arguments import is_new_data_set, parse_data_set
from cliqa.engine.loggers.progress import ProgressBar
from cliqa.engine.results import measure
from cliqa.engine.sections import with_command_line
from cliqa.engine.streams import build_data_sets, build_stream
from cliqa.evaluation.tables import Table, number, render
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.device import resolve_device
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_json
from cliqa.utils.logging import get_logger, setup_logging

logger = get_logger(__name__)


def evaluate(
    config: dict[str, Any],
    *,
    config_file: str | Path,
    checkpoint: str | Path | None = None,
    data_sets: Sequence[str] = (),
    split: str = "test",
    out: str | Path | None = None,
    work_dir: str | Path | None = None,
    device: str = "auto",
    seed: int | None = None,
) -> dict[str, Any]:
    """Evaluate a checkpoint on data sets and write eval_results.json.

    Args:
        config: The config, as loaded.
        config_file: Where it was loaded from.
        checkpoint: A checkpoint or a work_dir; None for the config's own work_dir.
        data_sets: Names of the config's data sets, or others as ``TYPE=ROOT`` or ``dict(...)``;
            none for all of the config's.
        split: ``"test"``, ``"val"``, ``"train"`` or ``"all"``.
        out: The file to write; None for eval_results.json beside the checkpoint's run.
        work_dir: The run's folder, where it is not the config's own.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        seed: Overrides the config's seed (it decides over generated data and splits).

    Returns:
        What was written.

    Raises:
        CliqaError: The config, the data or the checkpoint is wrong.
    """
    setup_logging()
    target = resolve_device(device)
    config = with_command_line(config, seed=seed)
    folder = Path(work_dir or config.get("work_dir") or default_work_dir(config_file))
    path = find_checkpoint(checkpoint or folder)
    check_config(config)
    state = load_run(path)
    check_fits(state, config, path)
    sources = _data(config, data_sets, split)
    _, strategy, collected = build_model_and_strategy({**config, "load_from": None}, target)
    strategy.load_state_dict(state["strategy"])
    strategy.evaluator.loggers = [ProgressBar()]
    transform = build_pipeline(config["scenario"]["eval_transform"], "scenario.eval_transform")
    chosen = [with_transforms(data, transform, transform) for data in sources.values()]
    started = time.monotonic()
    strategy.eval(named_stream(split, list(sources), chosen))
    bootstrap = (config.get("evaluation") or {}).get("bootstrap", 1000)
    measured = {
        name: _measured(sources[name], *pair, bootstrap, config["seed"])
        for name, pair in collected.result().items()
    }
    results = {
        "model_type": config["model"].get("type", "ImageClassifier"),
        "eval_time": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S"),
        "config": str(config_file),
        "checkpoint": str(path),
        "experiences_learnt": state["next_step"],
        "protocol": {
            "split": split,
            "eval_transform": config["scenario"]["eval_transform"],
            "bootstrap": bootstrap,
            "seed": config["seed"],
            "device": str(target),
        },
        "seconds": time.monotonic() - started,
        "datasets": measured,
    }
    target_file = Path(out) if out else path.parent.parent / "eval_results.json"
    write_json(target_file, results)
    logger.info("written: %s", target_file)
    return results


def _data(config: dict[str, Any], wanted: Sequence[str], split: str) -> dict[str, QualityDataset]:
    """Return the split of the wanted data sets by name, in the order asked for.

    The config's data sets are read only if one of them is wanted, and then all of them, so that
    images that they share are treated as in training. Others are measured whole.

    Raises:
        ConfigError: A name is unknown or stands for two data sets, or a split is empty.
    """
    scenario = config["scenario"]
    named = list(dict.fromkeys(text for text in wanted if not is_new_data_set(text)))
    own = {data.name: data for data in build_data_sets(scenario)} if named or not wanted else {}
    for name in named:
        if name not in own:
            raise ConfigError(
                f"--datasets {name}: the config has {', '.join(own)}. For another data set write "
                "TYPE=ROOT, e.g. KADID10k=/data/kadid10k."
            )
    others = [parse_data_set(text) for text in wanted if is_new_data_set(text)]
    _report_seen(list(own.values()), others)
    chosen = {name: own[name] for name in (named if wanted else own)}
    if split != "all" and own:
        stream = build_stream(scenario, list(own.values()))
        chosen = {name: stream.sources[name, split] for name in chosen}
    for data in others:
        if data.name in chosen:
            raise ConfigError(
                f"--datasets: two data sets are called '{data.name}'. Give one of them another "
                f"name: dict(type='{type(data).__name__}', root=..., name='...')."
            )
        chosen[data.name] = data.subset(cast("Any", split))
    for name, data in chosen.items():
        if not len(data):
            raise ConfigError(f"--split {split}: {name} has no such split. Use --split all.")
    return chosen


def _report_seen(own: Sequence[QualityDataset], others: Sequence[QualityDataset]) -> None:
    """Warn about images of other data sets that the config's training data hold as well."""
    train = [data.subset("train") for data in own]
    for other in others:
        shared = find_shared([*train, other])
        seen = {row.second_index for row in shared if row.second == len(train)}
        if seen:
            logger.warning(
                "%d of the %d images of %s stand in the training data of this config",
                len(seen),
                len(other),
                other.name,
            )


def _measured(
    source: QualityDataset, prediction: np.ndarray, target: np.ndarray, bootstrap: int, seed: int
) -> dict[str, Any]:
    """Return a data set's metrics and predictions."""
    measured = measure(prediction, target, bootstrap=bootstrap, seed=seed)
    raw = source.to_raw(np.clip(prediction, 0, 1))
    columns = zip(source.table.images, prediction, target, raw, source.raw_scores, strict=True)
    return {
        "metrics": {**measured, "num_samples": measured["n"]},
        "predictions": [
            {
                "image": image,
                "prediction": _finite(score),
                "target": float(truth),
                "raw_prediction": _finite(on_scale),
                "raw_target": float(label),
            }
            for image, score, truth, on_scale, label in columns
        ],
    }


def _finite(value: float) -> float | None:
    """Return a number for JSON, which has none for what a diverged model predicts."""
    return float(value) if np.isfinite(value) else None


def evaluation_table(results: dict[str, Any]) -> str:
    """Return what ``test_config.py`` prints: a line a data set."""
    rows = []
    for name, data in results["datasets"].items():
        metrics = data["metrics"]
        band = (metrics.get("interval") or {}).get("srcc")
        interval = f"{band[0]:.3f}..{band[1]:.3f}" if band else "n/a"
        measures = [number(metrics[key]) for key in ("srcc", "plcc", "plcc_fit", "krcc", "rmse")]
        rows.append((name, str(metrics["n"]), measures[0], interval, *measures[1:]))
    header = ("data set", "images", "SRCC", "95 %", "PLCC", "PLCC fit", "KRCC", "RMSE")
    return render(
        Table(f"After {results['experiences_learnt']} experience(s)", header, tuple(rows))
    )
