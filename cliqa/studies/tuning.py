"""Tuning of a config's keys on the validation data of the first experiences of its stream."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cliqa.config.load import load_config
from cliqa.engine.check import check_config
from cliqa.engine.sections import with_command_line
from cliqa.studies.planned_run import PlannedRun, Replicate
from cliqa.studies.sampler import draw
from cliqa.studies.search_space import Interval, Space, as_options
from cliqa.utils.errors import ArtifactError, ConfigError, EvaluationError
from cliqa.utils.logging import get_logger
from cliqa.utils.progress import Phase

logger = get_logger(__name__)

STATES = ("running", "finished", "failed", "pruned")

LEARN_FROM = 4
"""So many finished trials the median needs before a hopeless one is stopped."""

Reached = dict[str, float]
"""What a run reached on the validation data, by data set."""

Train = Callable[[Sequence[PlannedRun]], dict[Path, str]]
"""Trains runs that have not been, and returns by their folder why some failed."""

Measure = Callable[[PlannedRun], Reached]
"""Measures a trained run on validation data."""


@dataclass
class Trial:
    """Values that were tried.

    Attributes:
        number: Its place, from 0.
        values: By the key of the config.
        reached: By seed, what the run reached by data set.
        state: One of `STATES`.
        reason: Why it failed.
    """

    number: int
    values: dict[str, Any]
    reached: dict[str, Reached] = field(default_factory=dict)
    state: str = "running"
    reason: str = ""

    @property
    def mean(self) -> float | None:
        """The mean over data sets and the seeds so far; None if there is none."""
        return self.mean_of(len(self.reached))

    def mean_of(self, seeds: int) -> float | None:
        """Return the mean over the first so many seeds."""
        runs = list(self.reached.values())[:seeds]
        found = [statistics.fmean(run.values()) for run in runs]
        return statistics.fmean(found) if found and len(found) == seeds else None

    @property
    def counts(self) -> float | None:
        """What a sampler learns from: nothing while it runs or where it failed."""
        return self.mean if self.state in ("finished", "pruned") else None


@dataclass(frozen=True)
class Tuning:
    """What is tuned, on what, and how long.

    Args:
        file: The config.
        out: The folder.
        space: What may be tried.
        trials: How many sets of values are tried.
        seeds: Every set is trained with each.
        experiences: So many first ones of the stream are learnt; their validation data count.
        options: ``key=value`` for every run.
        seed: Of the sampler.
        jobs: So many runs at a time.
        prune: Leave the other seeds out of a trial that falls behind the median of the earlier
            ones; the seeds then run one after the other.

    Raises:
        ConfigError: A number is out of range, or the config or a key is wrong.
    """

    file: Path
    out: Path
    space: Space
    trials: int = 12
    seeds: tuple[int, ...] = (0,)
    experiences: int = 2
    options: tuple[str, ...] = ()
    seed: int = 0
    jobs: int = 1
    prune: bool = False

    def __post_init__(self) -> None:
        """Check everything before the first run."""
        for name in ("trials", "experiences", "jobs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name} {getattr(self, name)}: must be at least 1.")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError("--seeds: name at least one, each once.")
        if self.prune and len(self.seeds) < 2:
            raise ConfigError("--prune: leaves out further seeds. Give two --seeds or more.")
        if self.settings.get("cl_strategy", {}).get("type") == "JointTraining":
            raise ConfigError(
                f"{self.file}: JointTraining learns all data sets at once, so nothing can be "
                "chosen on the first ones. Tune the config of a method."
            )
        for corner in _corners(self.space):
            self.config(corner)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The checked config without a trial's values."""
        return self.config({})

    def config(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the checked config under some values.

        Raises:
            ConfigError: It is wrong under them.
        """
        options = (*self.options, *as_options(values))
        try:
            return check_config(load_config(self.file, options))
        except ConfigError as error:
            lines = (f"{self.file}: {line}" for line in str(error).splitlines())
            raise ConfigError("\n".join(lines)) from error

    def run(self, trial: Trial, seed: int) -> PlannedRun:
        """Return a trial's run with a seed."""
        name = f"trial_{trial.number:03d}"
        replicate = Replicate(seed)
        config = with_command_line(self.config(trial.values), seed=seed)
        options = (*self.options, *as_options(trial.values))
        folder = self.out / name / replicate.folder
        return PlannedRun(self.file, replicate, options, folder, config, name)

    def record(self, trials: Sequence[Trial]) -> dict[str, Any]:
        """Return the content of ``tune.json``."""
        return {
            "config": self.file.as_posix(),
            "settings": self.settings,
            "space": {key: str(rule) for key, rule in self.space.items()},
            "experiences": self.experiences,
            "seeds": list(self.seeds),
            "seed": self.seed,
            "prune": self.prune,
            "trials": [{**vars(trial), "mean": trial.mean} for trial in trials],
        }


def _corners(space: Space) -> Iterator[dict[str, Any]]:
    """Yield values that show whether a config takes those of a space: both ends, every choice."""
    for key, rule in space.items():
        if isinstance(rule, Interval):
            yield from ({key: rule.rounded(value)} for value in (rule.low, rule.high))
        else:
            yield from ({key: value} for value in rule.values)


def best_of(trials: Sequence[Trial]) -> Trial:
    """Return the finished trial with the highest mean, of equal ones the first.

    Raises:
        ArtifactError: None has finished.
    """
    finished = [trial for trial in trials if trial.state == "finished"]
    if not finished:
        raise ArtifactError("no trial has finished: there is nothing to choose from.")
    return max(finished, key=lambda trial: trial.mean or 0.0)


def run_tuning(
    tuning: Tuning,
    trials: list[Trial],
    train: Train,
    measure: Measure,
    save: Callable[[Sequence[Trial]], None],
) -> None:
    """Try values until there are as many trials as asked for.

    Args:
        tuning: What to do.
        trials: The trials so far; new ones are added. Those that were stopped go on first.
        train: Trains runs.
        measure: Measures one on validation data.
        save: Writes the trials, after every change.

    Raises:
        Interrupted: The next call continues.
    """
    if not trials:
        trials.append(Trial(0, start_of(tuning)))
    done = sum(trial.state != "running" for trial in trials)
    with Phase("tuning", tuning.trials, "trial") as bar:
        bar.update(min(done, tuning.trials))
        while batch := _next(tuning, trials):
            save(trials)
            _run_batch(tuning, trials, batch, train, measure, save)
            bar.update(len(batch))


def start_of(tuning: Tuning) -> dict[str, Any]:
    """Return the first trial's values: the config's own where they lie in the space, else drawn."""
    own = {key: _value_of(tuning.settings, key) for key in tuning.space}
    if all(rule.holds(own[key]) for key, rule in tuning.space.items()):
        return {
            key: float(value) if isinstance(rule, Interval) and not rule.whole else value
            for (key, rule), value in zip(tuning.space.items(), own.values(), strict=True)
        }
    return draw(tuning.space, [], tuning.seed)


def _value_of(config: Any, key: str) -> Any:  # noqa: ANN401
    """Return the value at a key, None where there is none."""
    for part in key.split("."):
        if isinstance(config, Mapping):
            config = config.get(part)
        elif isinstance(config, list) and part.isdecimal() and int(part) < len(config):
            config = config[int(part)]
        else:
            return None
    return config


def _next(tuning: Tuning, trials: list[Trial]) -> list[Trial]:
    """Return the trials to run next, after adding new ones: as many as fill the jobs."""
    share = 1 if tuning.prune else len(tuning.seeds)
    size = max(1, tuning.jobs // share)
    batch = [trial for trial in trials if trial.state == "running"][:size]
    while len(batch) < size and len(trials) < tuning.trials:
        past = [(trial.values, trial.counts) for trial in trials]
        trials.append(Trial(len(trials), draw(tuning.space, past, tuning.seed)))
        batch.append(trials[-1])
    return batch


def _run_batch(
    tuning: Tuning,
    trials: Sequence[Trial],
    batch: Sequence[Trial],
    train: Train,
    measure: Measure,
    save: Callable[[Sequence[Trial]], None],
) -> None:
    """Train and measure trials; with pruning one seed after the other."""
    rounds = [(seed,) for seed in tuning.seeds] if tuning.prune else [tuning.seeds]
    for place, seeds in enumerate(rounds):
        left = [trial for trial in batch if trial.state == "running"]
        runs = [(t, tuning.run(t, s)) for t in left for s in seeds if str(s) not in t.reached]
        failed = train([run for _, run in runs])
        for trial, run in runs:
            _take(trial, run, failed.get(run.folder, ""), measure)
        if tuning.prune and place + 1 < len(rounds):
            for trial in left:
                if trial.state == "running" and is_hopeless(trial, trials):
                    trial.state = "pruned"
        save(trials)
    for trial in batch:
        trial.state = "finished" if trial.state == "running" else trial.state
        told = "n/a" if trial.mean is None else f"{trial.mean:.3f}"
        shown = ", ".join(as_options(trial.values))
        logger.info("trial %d: %s (%s): %s", trial.number, told, trial.state, shown)
    save(trials)


def _take(trial: Trial, run: PlannedRun, reason: str, measure: Measure) -> None:
    """Record what a run reached, or why it failed."""
    try:
        if not reason:
            trial.reached[str(run.replicate.seed)] = measure(run)
    except EvaluationError as error:
        reason = str(error)
    if reason:
        trial.state, trial.reason = "failed", reason
        logger.warning("%s: %s", run, reason)


def is_hopeless(trial: Trial, trials: Sequence[Trial]) -> bool:
    """Return whether a trial lies below the median that finished ones had after as many seeds."""
    seeds = len(trial.reached)
    others = [other.mean_of(seeds) for other in trials if other.state == "finished"]
    known = [mean for mean in others if mean is not None]
    own = trial.mean
    return len(known) >= LEARN_FROM and own is not None and own < statistics.median(known)
