"""Running and summarising studies: configs over seeds, or two over numbers of images."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from cliqa.config.trust import is_trusting
from cliqa.engine.work_dir.holding import only_one
from cliqa.engine.work_dir.same_run import OPTION
from cliqa.evaluation.records.results import Results, load_results
from cliqa.evaluation.records.study import LabelStudy, Study, build_label_study, build_study
from cliqa.evaluation.records.study_deployed import add_deployed, read_deployments
from cliqa.evaluation.records.study_tables import label_table, study_report
from cliqa.evaluation.records.table_styles import SUFFIXES, Style
from cliqa.studies.backends.commands import Backend, Command, Program
from cliqa.studies.backends.local import Local
from cliqa.studies.bracket import Bracket
from cliqa.studies.plan import Plan, plan_study
from cliqa.studies.plan_check import check_plan
from cliqa.studies.planned_run import PlannedRun
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_json, write_text
from cliqa.utils.logging import get_logger
from cliqa.utils.progress import Phase
from cliqa.utils.system.python_process import python_command
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
    program: Program,
    backend: Backend | None = None,
    *,
    device: str = "auto",
    allow_changed_data: bool = False,
) -> list[Failure]:
    """Run what has not finished yet; a run that was stopped is resumed.

    Args:
        plan: The runs.
        program: What trains: `TRAIN`.
        backend: Where they run; by default here, one after the other.
        device: Where they train.
        allow_changed_data: Keep and resume runs although their data have changed; the plan's notes
            list the changes.

    Returns:
        The runs that failed; the others have finished.

    Raises:
        CheckpointError: The data of a finished run have changed.
        DatasetError: The data of the runs to come are wrong or missing.
        ConfigError: A run's folder belongs to another config.
        ArtifactError: Another study is running in the folder.
        Interrupted: SIGINT or SIGTERM came; every process has ended, and the next call continues.
    """
    check_plan(plan, allow_changed_data)  # a mistake leaves no folder behind
    backend = backend or Local()
    with only_one(plan.out, "study"):
        waiting = [run for run in plan.runs if not run.is_finished()]
        needed = [run.before for run in waiting if run.before is not None]
        first = [run for run in plan.first if run in needed and not run.is_finished()]
        more = ("--device", device, *([OPTION] if allow_changed_data else []))
        failures = _run(first, program, backend, more, "pretrainings") if first else []
        failed = [failure.run for failure in failures]
        ready = [run for run in waiting if run.before not in failed]
        kept = len(plan.runs) - len(waiting)
        if kept:
            logger.info("%d of %d runs have finished before and are kept", kept, len(plan.runs))
        return failures + _run(ready, program, backend, more, "runs", kept)


def _run(
    waiting: Sequence[PlannedRun],
    program: Program,
    backend: Backend,
    more: Sequence[str],
    what: str,
    kept: int = 0,
) -> list[Failure]:
    """Run the unfinished runs, with a progress bar over all."""
    failures: list[Failure] = []
    total = len(waiting) + kept
    with Phase(what, total, "run") as bar:
        bar.update(kept)

        def on_end(place: int, status: int) -> None:
            run = waiting[place]
            if status == 0 and run.is_finished():
                message = f"{run}: finished"
            else:
                failures.append(Failure(run, reason_of(run.log, status)))
                message = f"{run}: failed"
                bar.note = f"{len(failures)} failed"
            logger.info("%s", message)
            bar.update()

        backend.run([command_of(run, program, more) for run in waiting], on_end)
    return failures


def command_of(run: PlannedRun, program: Program, more: Sequence[str]) -> Command:
    """Return how a run is started or resumed, with more arguments."""
    arguments = python_command(*program, run.file)
    arguments += ["--seed", str(run.replicate.seed), "--work-dir", str(run.folder)]
    arguments += ["--resume", "auto", *more]
    if is_trusting():
        arguments += ["--trust"]
    if run.options:
        arguments += ["--cfg-options", *run.options]
    needs = (run.before.encoder,) if run.before is not None else ()
    return Command(tuple(arguments), run.log, str(run), run.folder, needs)


def reason_of(log: Path, status: int) -> str:
    """Return the last line of a log that reports an error, else its last line."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
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
            found[run.name][str(run.replicate)] = load_results(run.folder)
    return found


def deployed_runs(plan: Plan) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what the finished runs' searches for a deployment found, by config and replicate."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for run in plan.runs:
        if run.config.get("deploy") is not None and run.is_finished():
            held = read_deployments(run.folder)
            if held is not None:
                found.setdefault(run.name, {})[str(run.replicate)] = held
    return found


def write_study(
    plan: Plan, labels: Mapping[str, str] | None = None, styles: Sequence[Style] = ()
) -> tuple[Study, list[Path]]:
    """Summarise the finished runs; return the study and the files ``study.*`` that are written.

    Args:
        plan: The study.
        labels: What tables and the figure call a config in place of its name.
        styles: Styles of the table beside Markdown and CSV.

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
    add_deployed(study, deployed_runs(plan))
    study["notes"] += plan.notes
    study["labels"] = dict(labels or {})
    table = partial(study_report, study)
    return study, write_files(plan.out / "study", study, table, draw_study(study), styles)


def labels_of(names: Sequence[str], given: Sequence[str], bounds: int = 0) -> dict[str, str]:
    """Return labels by the names of a study's rows.

    Args:
        names: The names, in their order; bounds that were looked for come last.
        given: A label for each, those `bounds` last ones apart or not.
        bounds: How many names may go without.

    Raises:
        ConfigError: There is another number of them.

    >>> labels_of(["a", "b", "a_naive"], ["A", "B"], bounds=1)
    {'a': 'A', 'b': 'B'}
    """
    if given and len(given) not in (len(names), len(names) - bounds):
        raise ConfigError(
            f"--labels: {len(given)} for the rows {', '.join(names)}. Give one for each, in this "
            "order."
        )
    return dict(zip(names, given, strict=False))


def plan_label_study(
    baseline: str | Path,
    other: str | Path,
    images: Sequence[int],
    seeds: Sequence[int],
    out: str | Path,
    options: Sequence[str] = (),
    pretraining: str | Path | None = None,
) -> dict[int, Plan]:
    """Return the runs of a study by the number of training images of each data set.

    Both configs should differ in their start alone: equal epochs, rates and data. The numbers are
    values of ``scenario.max_train``, and every seed draws images of its own, the same for both
    configs; runs go to ``OUT/<N>_images/<config>/seed_<S>``. A pretraining is run once for every
    seed, on all images.

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
            options=options,
            own=[f"scenario.max_train={count}"],
            pretraining=pretraining,
            stages=Path(out) / "pretraining",
            draws=True,
        )
        for count in sorted(images)
    }


def write_label_study(
    plans: Mapping[int, Plan],
    out: str | Path,
    labels: Mapping[str, str] | None = None,
    styles: Sequence[Style] = (),
) -> tuple[LabelStudy, list[Path]]:
    """Summarise the finished runs; return the study and the files ``label_study.*``.

    The arguments are those of `write_study`, by the number of images.

    Raises:
        EvaluationError: Nothing has finished in both configs.
    """
    first, second = next(iter(plans.values())).names
    found = {count: finished_runs(plan) for count, plan in plans.items()}
    study = build_label_study(found, first, second)
    study["labels"] = dict(labels or {})
    changed = [note for plan in plans.values() for note in plan.notes]
    content = {**study, "changed_data": changed} if changed else study
    figure = draw_label_study(study)
    table = partial(label_table, study)
    return study, write_files(Path(out) / "label_study", content, table, figure, styles)


def write_files(
    path: Path,
    content: Mapping[str, Any],
    table: Callable[[Style], str],
    figure: Figure,
    styles: Sequence[Style],
) -> list[Path]:
    """Write plain values, their table (as Markdown, CSV and in `styles`) and figure; return files.

    `path` is that of all files, without their endings; `table` returns the table in a style.
    """
    files = [path.with_suffix(".json")]
    write_json(files[0], content)
    for style in dict.fromkeys(("markdown", "csv", *styles)):
        if style != "text":  # that is printed
            files.append(path.with_suffix(SUFFIXES[style]))
            write_text(files[-1], table(style))
    files.append(path.with_suffix(".png"))
    save_figure(figure, files[-1])
    return files
