"""A study: several configs over several seeds, run side by side and summed up in one table."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from cliqa.config.trust import is_trusting
from cliqa.engine.data_record import OPTION
from cliqa.engine.work_dir.holding import only_one
from cliqa.evaluation.records.results import Results, load_results
from cliqa.evaluation.records.study import Study, build_study
from cliqa.evaluation.records.study_tables import study_report
from cliqa.studies.plan import Plan
from cliqa.studies.planned_run import PlannedRun
from cliqa.studies.processes import Command, run_commands
from cliqa.studies.study_data import check_study_data
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_json, write_text
from cliqa.utils.logging import get_logger
from cliqa.visualization.study import draw_study
from cliqa.visualization.style import save_figure

logger = get_logger(__name__)


@dataclass(frozen=True)
class Failure:
    """A run that has not finished.

    Args:
        run: The run.
        reason: The last error line of its output.
    """

    run: PlannedRun
    reason: str

    def __str__(self) -> str:
        """Return what failed, why, and where to read more."""
        return f"{self.run}: {self.reason} (see {self.run.log})"


def run_study(
    plan: Plan,
    script: Path,
    *,
    jobs: int = 1,
    device: str = "auto",
    allow_changed_data: bool = False,
) -> list[Failure]:
    """Run what has not finished yet; a run that was stopped goes on where it was.

    Args:
        plan: The runs.
        script: ``train_config.py``.
        jobs: How many run at a time; they share the processors equally.
        device: Where they train.
        allow_changed_data: Keep runs, and go on with them, over other data than there are now; the
            plan's notes say so.

    Returns:
        The runs that failed; the others have finished.

    Raises:
        CheckpointError: A finished run is over other data than there are now.
        ConfigError: `jobs` is below 1, or a run's folder belongs to another config.
        ArtifactError: Another study is running in the folder.
        Stopped: SIGINT or SIGTERM came; every process has ended, and the next call goes on.
    """
    if jobs < 1:
        raise ConfigError(f"--jobs {jobs}: must be at least 1.")
    finished = [run for run in plan.runs if run.is_finished()]
    plan.notes[:] = check_study_data(finished, allow_changed_data)
    # a mistake leaves no folder behind
    with only_one(plan.out, "study"):
        waiting = [run for run in plan.runs if not run.is_finished()]
        more = ("--device", device, *([OPTION] if allow_changed_data else []))
        return _run(waiting, script, jobs, more, len(plan.runs))


def _run(
    waiting: Sequence[PlannedRun], script: Path, jobs: int, more: Sequence[str], total: int
) -> list[Failure]:
    """Run what is waiting under a bar over all runs."""
    failures: list[Failure] = []
    kept = total - len(waiting)
    if kept:
        logger.info("%d of %d runs have finished before and are kept", kept, total)
    with tqdm(total=total, initial=kept, desc="runs", unit="run", disable=None) as bar:

        def on_end(place: int, status: int) -> None:
            run = waiting[place]
            if status == 0 and run.is_finished():
                message = f"{run}: finished"
            else:
                failures.append(Failure(run, _reason(run.log, status)))
                message = f"{run}: failed"
                bar.set_postfix(failed=len(failures), refresh=False)
            with bar.external_write_mode(file=sys.stderr):
                logger.info("%s", message)
            bar.update()

        run_commands([_command(run, script, more) for run in waiting], jobs, on_end)
    return failures


def _command(run: PlannedRun, script: Path, more: Sequence[str]) -> Command:
    """Return how a run is started or resumed, with more arguments."""
    arguments = [sys.executable, str(script), str(run.file), "--seed", str(run.replicate.seed)]
    arguments += ["--work-dir", str(run.folder), "--resume", "auto", *more]
    if is_trusting():
        arguments += ["--trust"]
    if run.options:
        arguments += ["--cfg-options", *run.options]
    return Command(tuple(arguments), run.log)


def _reason(log: Path, status: int) -> str:
    """Return the last line of a log that tells an error, else its last line."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return (told or lines or [f"exit status {status}"])[-1]


def finished_runs(plan: Plan) -> dict[str, dict[str, Results]]:
    """Return the results of what has finished, by config and replicate."""
    found: dict[str, dict[str, Results]] = {name: {} for name in plan.names}
    for run in plan.runs:
        if run.is_finished():
            found[run.file.stem][str(run.replicate)] = load_results(run.folder)
    return found


def write_study(plan: Plan) -> tuple[Study, list[Path]]:
    """Sum up what has finished, and write it.

    Args:
        plan: The runs.

    Returns:
        The study, and the files ``study.json``, ``study.md``, ``study.csv`` and ``study.png``.

    Raises:
        EvaluationError: Nothing has finished, or the runs measure different things.
    """
    study = build_study(
        finished_runs(plan), replicates=plan.replicates, naive=plan.naive, joint=plan.joint
    )
    study["notes"] += plan.notes
    files = [plan.out / f"study.{suffix}" for suffix in ("json", "md", "csv", "png")]
    write_json(files[0], study)
    write_text(files[1], study_report(study, "markdown"))
    write_text(files[2], study_report(study, "csv"))
    save_figure(draw_study(study), files[3])
    return study, files
