"""What ``test_config.py`` does with a config and a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cliqa.engine.build import build_model_and_strategy
from cliqa.engine.check import check_config
from cliqa.engine.checkpoints import check_fits, find_checkpoint, load_run
from cliqa.engine.evaluate_classes import ChosenClasses, classes_table
from cliqa.engine.evaluate_scores import ChosenScores, scores_table
from cliqa.engine.loggers.progress import ProgressBar
from cliqa.engine.sections import resamples, run_folder, with_command_line
from cliqa.evaluation.tables import render
from cliqa.registry import SCENARIOS, find
from cliqa.utils.device import resolve_device
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
    folder = run_folder(config, config_file, work_dir)
    path = find_checkpoint(checkpoint or folder)
    check_config(config)
    state = load_run(path)
    check_fits(state, config, path)
    kind = getattr(find(SCENARIOS, config["scenario"], "scenario"), "target_kind", "scores")
    learnt = _experiences_learnt(state)
    choose = ChosenClasses if kind == "classes" else ChosenScores
    chosen: ChosenClasses | ChosenScores = choose(config, data_sets, split, learnt)
    without = {**config, "load_from": None}
    _, strategy, collected, _ = build_model_and_strategy(without, target, folder)
    strategy.load_state_dict(state["strategy"])
    strategy.evaluator.loggers = [ProgressBar()]
    started = time.monotonic()
    strategy.eval(chosen.stream)
    bootstrap = resamples(config)
    measured = {
        name: chosen.entry(name, *pair, bootstrap, config["seed"])
        for name, pair in collected.result().items()
    }
    results = {
        "model_type": config["model"].get("type", "ImageClassifier"),
        "eval_time": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S"),
        "config": str(config_file),
        "checkpoint": str(path),
        "experiences_learnt": learnt,
        "protocol": {
            "targets": kind,
            "split": split,
            "eval_transform": config["scenario"].get("eval_transform"),
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


def _experiences_learnt(state: dict[str, Any]) -> int:
    """Return how many experiences a checkpoint's model has been trained on to their end."""
    joint = state["config"]["cl_strategy"].get("type") == "JointTraining"
    return len(state["names"]) if joint and state["next_step"] else int(state["next_step"])


def evaluation_table(results: dict[str, Any]) -> str:
    """Return what ``test_config.py`` prints: a line a data set."""
    of_classes = results.get("protocol", {}).get("targets") == "classes"
    return render(classes_table(results) if of_classes else scores_table(results))
