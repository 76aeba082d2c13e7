"""A tuning run as processes: what is checked before, the trials, and their measurement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cliqa.deploy.libraries import library
from cliqa.engine.streams import build_benchmark
from cliqa.engine.work_dir.holding import only_one
from cliqa.engine.work_dir.same_run import OPTION
from cliqa.studies.backends.commands import Backend, Program
from cliqa.studies.backends.local import Local
from cliqa.studies.plan_check import check_starts, check_study_data, check_waiting_data
from cliqa.studies.planned_run import PlannedRun
from cliqa.studies.study import command_of, reason_of
from cliqa.studies.trial import Trial
from cliqa.studies.tuning import Measure, Tuning, run_tuning
from cliqa.studies.tuning_files import load_trials, save_trials
from cliqa.utils.errors import ConfigError


def tune(
    tuning: Tuning,
    program: Program,
    measure: Measure,
    backend: Backend | None = None,
    *,
    device: str = "auto",
    allow_changed_data: bool = False,
) -> list[Trial]:
    """Try values until there are as many trials as asked for; what the folder holds is kept.

    Args:
        tuning: What to do.
        program: What trains: `TRAIN`.
        measure: Measures a run that has learnt so many experiences on their validation data.
        backend: Where the runs are started; by default here, so many at a time as the tuning says.
        device: Where they train.
        allow_changed_data: Go on although labels or images have changed since.

    Returns:
        All trials, in order.

    Raises:
        ConfigError: Optuna is not installed, a data set has no validation data, or the folder holds
            another tuning.
        CheckpointError: The data have changed since.
        DatasetError: The data are wrong or missing.
        ArtifactError: Another tuning is running in the folder, or its record is damaged.
        Interrupted: SIGINT or SIGTERM came; the next call continues.
    """
    library("optuna", extra="tune")
    trials = load_trials(tuning)
    plain = [tuning.run(Trial(0, {}), tuning.seeds[0])]
    check_starts(plain)
    check_waiting_data(plain)
    check_validation(tuning)
    known = [tuning.run(trial, int(seed)) for trial in trials for seed in trial.reached]
    check_study_data([run for run in known if run.folder.is_dir()], allow_changed_data)
    more = ["--device", device, *([OPTION] if allow_changed_data else [])]
    where = backend or Local(tuning.jobs)

    def train(runs: Sequence[PlannedRun], experience: int) -> dict[Path, str]:
        until = [*more, "--stop-after", str(experience)]
        return _train(runs, program=program, backend=where, more=until)

    with only_one(tuning.out, "tuning"):
        run_tuning(tuning, trials, train, measure, partial(save_trials, tuning))
    return trials


def check_validation(tuning: Tuning) -> None:
    """Refuse a stream that is too short, or whose first data sets have no validation data.

    Raises:
        ConfigError: With what to set.
        DatasetError: The data are wrong or missing.
    """
    benchmark = build_benchmark(dict(tuning.settings["scenario"]))
    names = list(benchmark.names)
    if tuning.experiences >= len(names):
        raise ConfigError(
            f"--experiences {tuning.experiences}: the stream has {len(names)} data sets, and at "
            "least the last one must stay unknown. Give a smaller number."
        )
    lacking = [n for k, n in enumerate(names[: tuning.experiences]) if not benchmark.validation(k)]
    if lacking:
        raise ConfigError(
            f"{tuning.file}: {', '.join(lacking)} has no validation data, and test data must not "
            "choose. Set fractions or val_fraction of the data set, or scenario.val_fraction=0.1 "
            "of a stream of classes."
        )


def _train(
    runs: Sequence[PlannedRun], *, program: Program, backend: Backend, more: Sequence[str]
) -> dict[Path, str]:
    """Train runs as processes, and return by their folder why some failed."""
    failed: dict[Path, str] = {}

    def on_end(place: int, status: int) -> None:
        if status:
            failed[runs[place].folder] = reason_of(runs[place].log, status)

    backend.run([command_of(run, program, more) for run in runs], on_end)
    return failed
