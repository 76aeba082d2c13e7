"""What is looked at before the first run of a study: starts, data, what finished runs had."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cliqa.benchmarks.data_check import check_data
from cliqa.engine.streams import build_benchmark
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run
from cliqa.engine.work_dir.data_record import DataRecord, read_record, record_of
from cliqa.engine.work_dir.same_run import OPTION
from cliqa.evaluation.records.results import load_results
from cliqa.studies.plan import Plan
from cliqa.studies.planned_run import PlannedRun
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import CheckpointError, CliqaError, DatasetError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


def check_plan(plan: Plan, allow_changed_data: bool = False) -> None:
    """Refuse a study one of whose runs cannot start, before any of them does.

    Args:
        plan: The runs.
        allow_changed_data: Finished runs are kept although their data have changed; the plan's
            notes list the changes.

    Raises:
        CliqaError: As `run_study`; a message names the config.
    """
    finished = [run for run in plan.runs if run.is_finished()]
    waiting = [run for run in plan.runs if run not in finished]
    check_starts(waiting)
    plan.notes[:] = check_study_data(finished, allow_changed_data)
    needed = {run.before.folder: run.before for run in waiting if run.before is not None}
    first = [run for run in needed.values() if not run.is_finished()]
    check_waiting_data([*first, *waiting])


def check_starts(runs: Iterable[PlannedRun]) -> None:
    """Refuse runs whose ``load_from`` is missing or damaged, before any of them is trained.

    Raises:
        CheckpointError: With what to train first.
    """
    for path, run in {run.start: run for run in runs}.items():
        if path is not None and not path.is_file():
            raise CheckpointError(
                f"{run.file}: load_from: {path} is missing. Train it first ("
                "cliqa train CONFIG), or give its pretraining's config, which is then run for "
                "every seed: --pretraining cliqa::qualiclip_demo.py"
            )
        if path is not None:
            load_checkpoint(path)


def check_waiting_data(runs: Iterable[PlannedRun]) -> None:
    """Refuse runs whose data are missing or wrong, before any of them is trained.

    Data that several configs share are looked for once.

    Raises:
        DatasetError: With a line for every mistake, which names the configs.
    """
    sharing: dict[str, list[PlannedRun]] = {}
    for run in runs:
        sharing.setdefault(_data_key(run), []).append(run)
    told: dict[str, dict[Path, None]] = {}  # by what is wrong, the configs in their order
    for same in sharing.values():
        try:
            check_data(same[0].config)
        except CliqaError as error:
            told.setdefault(str(error), {}).update(dict.fromkeys(run.file for run in same))
    if told:
        lines = (
            f"{', '.join(map(str, files))}: {line}"
            for text, files in told.items()
            for line in text.splitlines()
        )
        raise DatasetError("\n".join(lines))


def check_study_data(runs: Iterable[PlannedRun], allowed: bool = False) -> list[str]:
    """Refuse to keep finished runs if the data have changed since: new runs would use other data.

    Every scenario's data are read once; nothing is read where no run has finished. Runs that have
    not finished check their data when they resume. Where changes are allowed, the runs are kept,
    and notes for the study's table are returned.

    Raises:
        CheckpointError: The data of a run have changed, with what has changed.
    """
    present: dict[str, DataRecord | None] = {}
    notes: list[str] = []
    for run in runs:
        then = read_record(load_results(run.folder).get("data"), run.folder)
        if then is None:
            logger.warning("%s: holds no record of its data: they may have changed since", run)
            continue
        key = _data_key(run)
        if key not in present:
            present[key] = _present(run)
        now = present[key]
        if now is None or not then.differences(now):
            continue
        changes = ". ".join(_changes(run, then, now))
        if not allowed:
            raise CheckpointError(
                f"{run.folder}: {run}: its data have changed: {changes}. Restore the data, choose "
                f"another folder with --out, or keep the run with {OPTION}."
            )
        notes.append(f"{run} is kept, and its data have changed: {changes} ({OPTION})")
        logger.warning("%s", notes[-1])
    return notes


def _data_key(run: PlannedRun) -> str:
    """Return what runs over the same data share."""
    return json.dumps(run.config.get("scenario"), default=str, sort_keys=True)


def _present(run: PlannedRun) -> DataRecord | None:
    """Return the record of a run's present data, None if they are missing."""
    scenario: dict[str, Any] = dict(run.config["scenario"])
    try:
        return record_of(build_benchmark(scenario))
    except DatasetError as error:
        logger.warning("finished runs are kept, and their data cannot be checked: %s", error)
        return None


def _changes(run: PlannedRun, then: DataRecord, now: DataRecord) -> list[str]:
    """Return what has changed; image by image if the run's checkpoint is there."""
    try:
        path = find_checkpoint(run.folder)
        whole = read_record(load_run(path).get("data"), path)
    except CliqaError:
        whole = None
    return (whole or then).differences(now) or then.differences(now)
