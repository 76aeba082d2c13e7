"""Tuning of a config's keys on the validation data of the first experiences of its stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cliqa.config.load import load_config
from cliqa.engine.check import check_config
from cliqa.engine.sections import with_command_line
from cliqa.studies.planned_run import PlannedRun, Replicate
from cliqa.studies.sampler import draw
from cliqa.studies.search_space import Interval, Space, as_options
from cliqa.studies.trial import LEARN_FROM, Reached, Trial, is_hopeless
from cliqa.utils.errors import ConfigError, EvaluationError
from cliqa.utils.logging import get_logger
from cliqa.utils.progress import Phase

logger = get_logger(__name__)

Train = Callable[[Sequence[PlannedRun], int], dict[Path, str]]
"""Trains runs up to the end of an experience, and returns by their folder why some failed."""

Measure = Callable[[PlannedRun, int], Reached]
"""Measures what a run was when it had learnt so many experiences, on their validation data."""


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
        prune: Measure a trial after every experience, and stop it where it falls behind the median
            of the finished ones at the same step; the seeds then run one after the other.

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
        if self.prune and len(self.steps) < 2:
            raise ConfigError(
                "--prune: one experience with one seed leaves nothing to stop before its end. Give "
                "--experiences 2 or more, or more --seeds."
            )
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
            text = str(error)
            for key in values:
                text = text.replace(f"--cfg-options {key}", f"--search {key}")
            lines = (f"{self.file}: {line}" for line in text.splitlines())
            raise ConfigError("\n".join(lines)) from error

    @property
    def steps(self) -> list[tuple[tuple[int, ...], int]]:
        """The seeds that train at a time once there is a median, and up to which experience."""
        if not self.prune:
            return [(self.seeds, self.experiences)]
        return [((seed,), k) for seed in self.seeds for k in range(1, self.experiences + 1)]

    def has_taken(self, trial: Trial, seed: int, experience: int) -> bool:
        """Return whether a trial's run has been measured at a step."""
        if self.prune:
            return len(trial.steps(seed)) >= experience
        return str(seed) in trial.reached

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
            "protocol": protocol(self.experiences, self.prune),
            "trials": [{**vars(trial), "mean": trial.mean} for trial in trials],
        }


def protocol(experiences: int, prune: bool) -> dict[str, str]:
    """Return who may see which data in a tuning, in words."""
    first = "the first experience" if experiences == 1 else f"the first {experiences} experiences"
    last = "each of them (of those learnt by then)" if prune else "the last of them"
    return {
        "trains on": f"the training data of {first}, in the order of the stream",
        "chooses by": f"the validation data of {first}, after {last}: mean SRCC, or accuracy",
        "does not see": "test data, and any data of later experiences",
    }


def _corners(space: Space) -> Iterator[dict[str, Any]]:
    """Yield values that show whether a config takes those of a space: both ends, every choice."""
    for key, rule in space.items():
        if isinstance(rule, Interval):
            yield from ({key: rule.rounded(value)} for value in (rule.low, rule.high))
        else:
            yield from ({key: value} for value in rule.values)


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
    """Return the trials to run next: those that were stopped, else new ones that fill the jobs.

    None is drawn beside one that was stopped: its result is known when the next ones are drawn, as
    it would have been without the stop.
    """
    share = 1 if _judges(tuning, trials) else len(tuning.seeds)
    size = max(1, tuning.jobs // share)
    stopped = [trial for trial in trials if trial.state == "running"]
    if stopped:
        return stopped[:size]
    batch: list[Trial] = []
    while len(batch) < size and len(trials) < tuning.trials:
        past = [(trial.values, trial.counts) for trial in trials]
        values = draw(tuning.space, past, tuning.seed) if trials else start_of(tuning)
        trials.append(Trial(len(trials), values))
        batch.append(trials[-1])
    return batch


def _judges(tuning: Tuning, trials: Sequence[Trial]) -> bool:
    """Return whether there is a median to prune by; until then runs need not stop in between."""
    return tuning.prune and sum(trial.state == "finished" for trial in trials) >= LEARN_FROM


def _run_batch(
    tuning: Tuning,
    trials: Sequence[Trial],
    batch: Sequence[Trial],
    train: Train,
    measure: Measure,
    save: Callable[[Sequence[Trial]], None],
) -> None:
    """Train and measure trials; with a median seed by seed, and experience by experience."""
    judges = _judges(tuning, trials)
    steps = tuning.steps if judges else [(tuning.seeds, tuning.experiences)]
    for place, (seeds, experience) in enumerate(steps):
        left = [trial for trial in batch if trial.state == "running"]
        runs = [
            (trial, tuning.run(trial, seed))
            for trial in left
            for seed in seeds
            if not tuning.has_taken(trial, seed, experience)
        ]
        failed = train([run for _, run in runs], experience) if runs else {}
        for trial, run in runs:
            _take(tuning, trial, run, experience, failed.get(run.folder, ""), measure)
        if judges and place + 1 < len(steps):
            _prune([t for t in left if t.state == "running"], trials, tuning, place)
        save(trials)
    for trial in batch:
        trial.state = "finished" if trial.state == "running" else trial.state
        told = "n/a" if trial.mean is None else f"{trial.mean:.3f}"
        shown = ", ".join(as_options(trial.values))
        why = f"pruned {trial.reason}" if trial.state == "pruned" else trial.state
        logger.info("trial %d: %s (%s): %s", trial.number, told, why, shown)
    save(trials)


def _prune(left: Sequence[Trial], trials: Sequence[Trial], tuning: Tuning, place: int) -> None:
    """Stop the hopeless of the trials that have done a step."""
    seeds = tuning.seeds[: place // tuning.experiences + 1]
    experience = place % tuning.experiences + 1
    for trial in left:
        if is_hopeless(trial, trials, seeds, experience):
            trial.state = "pruned"
            trial.reason = f"after experience {experience} with seed {seeds[-1]}"


def _take(
    tuning: Tuning, trial: Trial, run: PlannedRun, experience: int, reason: str, measure: Measure
) -> None:
    """Record what a run reached, with pruning after every experience, or why it failed."""
    seed = run.replicate.seed
    first = len(trial.steps(seed)) + 1 if tuning.prune else experience
    try:
        for learnt in range(first, experience + 1) if not reason else ():
            trial.note(seed, measure(run, learnt), last=learnt == tuning.experiences)
    except EvaluationError as error:
        reason = str(error)
    if reason:
        trial.state, trial.reason = "failed", reason
        logger.warning("%s: %s", run, reason)
