"""Whether the finished runs of a study are over the data that there are now."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from cliqa.engine.data_record import OPTION, DataRecord, read_record, record_of
from cliqa.engine.streams import build_benchmark
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run
from cliqa.evaluation.records.results import load_results
from cliqa.studies.planned_run import PlannedRun
from cliqa.utils.errors import CheckpointError, CliqaError, DatasetError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


def check_study_data(runs: Iterable[PlannedRun], allowed: bool = False) -> list[str]:
    """Refuse to keep finished runs beside new ones that would learn from other data.

    Every scenario's data are read once; nothing is read where no run has finished. Runs that have
    not finished look for themselves when they go on.

    Args:
        runs: Those that have finished.
        allowed: Keep them all the same.

    Returns:
        What the study's table should be read with.

    Raises:
        CheckpointError: A run is over other data, with what has changed.
    """
    present: dict[str, DataRecord | None] = {}
    notes: list[str] = []
    for run in runs:
        then = read_record(load_results(run.folder).get("data"), run.folder)
        if then is None:
            logger.warning("%s: holds no record of its data: they may have changed since", run)
            continue
        key = json.dumps(run.config["scenario"], default=str, sort_keys=True)
        if key not in present:
            present[key] = _present(run)
        now = present[key]
        if now is None or not then.differences(now):
            continue
        said = f"{run} is kept, and is over other data: {'. '.join(_told(run, then, now))}"
        if not allowed:
            raise CheckpointError(
                f"{run.folder}: {said.replace(' is kept, and is', ' is')}. Put the data back, "
                f"choose another folder with --out, or keep the run with {OPTION}."
            )
        logger.warning("%s", said)
        notes.append(f"{said} ({OPTION})")
    return notes


def _present(run: PlannedRun) -> DataRecord | None:
    """Return the record of the data that a run would learn from now, None if they are not there."""
    scenario: dict[str, Any] = dict(run.config["scenario"])
    try:
        return record_of(build_benchmark(scenario))
    except DatasetError as error:
        logger.warning("finished runs are kept without a look at their data: %s", error)
        return None


def _told(run: PlannedRun, then: DataRecord, now: DataRecord) -> list[str]:
    """Return what has changed; image by image if the run's checkpoint is there."""
    try:
        path = find_checkpoint(run.folder)
        whole = read_record(load_run(path).get("data"), path)
    except CliqaError:
        whole = None
    return (whole or then).differences(now) or then.differences(now)
