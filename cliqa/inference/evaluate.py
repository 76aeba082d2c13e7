"""What ``test_config.py`` does with a config and a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cliqa.engine.check import check_config
from cliqa.engine.sections import run_folder, with_command_line
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run
from cliqa.engine.work_dir.same_run import check_fits
from cliqa.evaluation.records.tables import render
from cliqa.inference.candidate import Candidate, Request
from cliqa.inference.evaluate_classes import classes_table
from cliqa.inference.evaluate_scores import scores_table
from cliqa.inference.exported_candidate import ExportedCandidate
from cliqa.inference.measure import measure
from cliqa.utils.device import resolve_device
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_json
from cliqa.utils.logging import get_logger, setup_logging
from cliqa.utils.paths import check_output_file

logger = get_logger(__name__)


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
) -> dict[str, Any]:
    """Evaluate a checkpoint or an exported model on data sets and write eval_results.json.

    Args:
        config: The config, as loaded.
        config_file: Where it was loaded from.
        checkpoint: A checkpoint or a work_dir; None for the config's own work_dir.
        exported: An ONNX file in the place of the checkpoint.
        data_sets: Names of the config's data sets, or others as ``TYPE=ROOT`` or ``dict(...)``;
            none for all of the config's.
        split: ``"test"``, ``"val"``, ``"train"`` or ``"all"``.
        out: The file to write; None for eval_results.json in the checkpoint's run, or for
            eval_results_model_onnx.json (or so) beside the exported file.
        work_dir: The run's folder, where it is not the config's own.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        seed: Overrides the config's seed (it decides over generated data and splits).
        allow_changed_data: Measure on other data than those of the run under their names.

    Returns:
        What was written.

    Raises:
        CliqaError: The config, the data or the checkpoint is wrong.
    """
    setup_logging()
    if exported is not None and checkpoint is not None:
        raise ConfigError(f"{checkpoint} and --exported {exported}: two models. Give one of them.")
    target = resolve_device(device)
    config = with_command_line(config, seed=seed)
    folder = run_folder(config, config_file, work_dir)
    request = Request(data_sets=data_sets, split=split, allow_changed_data=allow_changed_data)
    name = "eval_results.json"
    if exported is None:
        candidate, home = _trained(
            config, config_file, checkpoint or folder, target, request, folder
        )
    else:
        config = check_config(config)
        candidate = ExportedCandidate(Path(exported), config, str(config_file), request)
        home = candidate.path.parent
        # a name of its own: the file often lies in the run's work_dir
        name = f"eval_results_{candidate.path.name.replace('.', '_')}.json"
    target_file = Path(out) if out else home / name
    check_output_file(target_file, "--out" if out else "results")
    (results,) = measure([candidate])
    write_json(target_file, results)
    logger.info("written: %s", target_file)
    return results


def _trained(
    config: dict[str, Any],
    config_file: str | Path,
    checkpoint: str | Path,
    device: torch.device,
    request: Request,
    folder: Path,
) -> tuple[Candidate, Path]:
    """Return a checkpoint as a candidate, and the folder of its run."""
    path = find_checkpoint(checkpoint)
    config = check_config(config)
    state = load_run(path)
    check_fits(state, config, path)
    candidate = Candidate(path, state, config, str(config_file), device, request, folder)
    return candidate, path.parent.parent


def evaluation_table(results: dict[str, Any]) -> str:
    """Return what ``test_config.py`` prints: a line a data set."""
    of_classes = results.get("protocol", {}).get("targets") == "classes"
    return render(classes_table(results) if of_classes else scores_table(results))
