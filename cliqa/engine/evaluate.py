"""What ``test_config.py`` does with a config and a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cliqa.engine.candidate import Candidate, Request
from cliqa.engine.check import check_config
from cliqa.engine.checkpoints import check_fits, find_checkpoint, load_run
from cliqa.engine.evaluate_classes import classes_table
from cliqa.engine.evaluate_scores import scores_table
from cliqa.engine.measure import measure
from cliqa.engine.sections import run_folder, with_command_line
from cliqa.evaluation.tables import render
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
    request = Request(data_sets=data_sets, split=split)
    candidate = Candidate(path, state, config, str(config_file), target, request, folder)
    (results,) = measure([candidate])
    target_file = Path(out) if out else path.parent.parent / "eval_results.json"
    write_json(target_file, results)
    logger.info("written: %s", target_file)
    return results


def evaluation_table(results: dict[str, Any]) -> str:
    """Return what ``test_config.py`` prints: a line a data set."""
    of_classes = results.get("protocol", {}).get("targets") == "classes"
    return render(classes_table(results) if of_classes else scores_table(results))
