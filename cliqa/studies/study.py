"""Running and summarising studies: configs over seeds, or two over numbers of images."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from cliqa.benchmarks.data_check import check_data
from cliqa.config.trust import is_trusting
from cliqa.engine.work_dir.holding import only_one
from cliqa.engine.work_dir.same_run import OPTION
from cliqa.evaluation.records.results import Results, load_results
from cliqa.evaluation.records.study import LabelStudy, Study, build_label_study, build_study
from cliqa.evaluation.records.study_tables import label_table, study_report
from cliqa.evaluation.records.tables import Style
from cliqa.studies.plan import Bracket, Plan, plan_study
from cliqa.studies.planned_run import PlannedRun, check_study_data
from cliqa.studies.processes import Command, run_commands
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_json, write_text
from cliqa.utils.logging import get_logger
from cliqa.utils.progress import Phase
from cliqa.visualization.study import draw_label_study, draw_study
from cliqa.visualization.style import save_figure

logger = get_logger(__name__)


@dataclass(frozen=True)
class Failure:
    """A run that has not finished, and the last error line of its output."""

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
    """Run what has not finished yet, `jobs` runs at a time; a run that was stopped is resumed.

    Args:
        plan: The runs.
        script: ``train_config.py``.
        jobs: How many run at a time; they share the processors equally.
        device: Where they train.
        allow_changed_data: Keep and resume runs although their data have changed; the plan's notes
            list the changes.

    Returns:
        The runs that failed; the others have finished.

    Raises:
        CheckpointError: The data of a finished run have changed.
        DatasetError: The data of the runs to come are wrong or missing.
        ConfigError: `jobs` is below 1, or a run's folder belongs to another config.
        ArtifactError: Another study is running in the folder.
        Interrupted: SIGINT or SIGTERM came; every process has ended, and the next call continues.
    """
    if jobs < 1:
        raise ConfigError(f"--jobs {jobs}: must be at least 1.")
    finished = [run for run in plan.runs if run.is_finished()]
    plan.notes[:] = check_study_data(finished, allow_changed_data)
    for run in {run.file: run for run in plan.runs if run not in finished}.values():
        check_data(run.config)
    # a mistake leaves no folder behind
    with only_one(plan.out, "study"):
        waiting = [run for run in plan.runs if not run.is_finished()]
        more = ("--device", device, *([OPTION] if allow_changed_data else []))
        return _run(waiting, script, jobs, more, len(plan.runs))


def _run(
    waiting: Sequence[PlannedRun], script: Path, jobs: int, more: Sequence[str], total: int
) -> list[Failure]:
    """Run the unfinished runs, with a progress bar over all."""
    failures: list[Failure] = []
    kept = total - len(waiting)
    if kept:
        logger.info("%d of %d runs have finished before and are kept", kept, total)
    with Phase("runs", total, "run") as bar:
        bar.update(kept)

        def on_end(place: int, status: int) -> None:
            run = waiting[place]
            if status == 0 and run.is_finished():
                message = f"{run}: finished"
            else:
                failures.append(Failure(run, _reason(run.log, status)))
                message = f"{run}: failed"
                bar.note = f"{len(failures)} failed"
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
    """Return the last line of a log that reports an error, else its last line."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return (errors or lines or [f"exit status {status}"])[-1]


def finished_runs(plan: Plan) -> dict[str, dict[str, Results]]:
    """Return the results of the finished runs, by config and replicate."""
    found: dict[str, dict[str, Results]] = {name: {} for name in plan.names}
    for run in plan.runs:
        if run.is_finished():
            found[run.file.stem][str(run.replicate)] = load_results(run.folder)
    return found


def write_study(plan: Plan) -> tuple[Study, list[Path]]:
    """Summarise the finished runs; return the study and the files ``study.*`` that are written.

    Raises:
        EvaluationError: Nothing has finished, or the runs measure different things.
    """
    study = build_study(
        finished_runs(plan),
        replicates=plan.replicates,
        naive=plan.naive,
        joint=plan.joint,
        splits=any(run.replicate.split is not None for run in plan.runs),
    )
    study["notes"] += plan.notes
    return study, _write(plan.out / "study", study, partial(study_report, study), draw_study(study))


def plan_label_study(
    baseline: str | Path,
    other: str | Path,
    images: Sequence[int],
    seeds: Sequence[int],
    out: str | Path,
    options: Sequence[str] = (),
) -> dict[int, Plan]:
    """Return the runs of a study by the number of training images of each data set.

    Both configs should differ in their start alone: equal epochs, rates and data. The numbers are
    values of ``scenario.max_train``; runs go to ``OUT/<N>_images/<config>/seed_<S>``.

    Raises:
        ConfigError: A config or an option is wrong, or a number is below 1 or given twice.
    """
    if not images or min(images) < 1 or len(set(images)) < len(images):
        raise ConfigError(f"--images {' '.join(map(str, images))}: numbers >= 1, each once.")
    return {
        count: plan_study(
            [baseline, other],
            seeds,
            Path(out) / f"{count}_images",
            bracket=Bracket(None, None, look=False),
            options=[*options, f"scenario.max_train={count}"],
        )
        for count in sorted(images)
    }


def write_label_study(plans: Mapping[int, Plan], out: str | Path) -> tuple[LabelStudy, list[Path]]:
    """Summarise the finished runs; return the study and the files ``label_study.*``.

    Raises:
        EvaluationError: Nothing has finished in both configs.
    """
    first, second = next(iter(plans.values())).names
    found = {count: finished_runs(plan) for count, plan in plans.items()}
    study = build_label_study(found, first, second)
    changed = [note for plan in plans.values() for note in plan.notes]
    content = {**study, "changed_data": changed} if changed else study
    figure = draw_label_study(study)
    return study, _write(Path(out) / "label_study", content, partial(label_table, study), figure)


def _write(
    path: Path, content: Mapping[str, Any], table: Callable[[Style], str], figure: Figure
) -> list[Path]:
    """Write a study's values, its table for people and for machines, and its figure."""
    files = [path.with_name(f"{path.name}.{suffix}") for suffix in ("json", "md", "csv", "png")]
    write_json(files[0], content)
    write_text(files[1], table("markdown"))
    write_text(files[2], table("csv"))
    save_figure(figure, files[3])
    return files
