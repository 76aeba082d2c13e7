"""A trial of a tuning: its values, what it reached step by step, and whether it is hopeless."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cliqa.utils.errors import ArtifactError

STATES = ("running", "finished", "failed", "pruned")

LEARN_FROM = 4
"""So many finished trials the median needs before a hopeless one is stopped."""

Reached = dict[str, float]
"""What a run reached on the validation data, by data set."""


@dataclass
class Trial:
    """Values that were tried.

    Attributes:
        number: Its place, from 0.
        values: By the key of the config.
        reached: By seed, what the run reached by data set after the last experience.
        state: One of `STATES`.
        reason: Why it failed, or where it was pruned.
        earlier: By seed, the same after each experience before the last one, on the data sets
            learnt by then; with pruning alone.
    """

    number: int
    values: dict[str, Any]
    reached: dict[str, Reached] = field(default_factory=dict)
    state: str = "running"
    reason: str = ""
    earlier: dict[str, list[Reached]] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """The mean over data sets and the seeds that have learnt all; None if there is none."""
        return _mean(list(self.reached.values()))

    @property
    def counts(self) -> float | None:
        """What a sampler learns from: nothing while it runs, where it failed or was cut short."""
        return self.mean if self.state in ("finished", "pruned") else None

    def note(self, seed: int, reached: Reached, last: bool) -> None:
        """Note what a run has reached, after its last experience or an earlier one."""
        if last:
            self.reached[str(seed)] = reached
        else:
            self.earlier.setdefault(str(seed), []).append(reached)

    def steps(self, seed: int) -> list[Reached]:
        """Return what the run with a seed reached after each measured experience, in order."""
        last = self.reached.get(str(seed))
        return [*self.earlier.get(str(seed), []), *([] if last is None else [last])]

    def value_at(self, seeds: Sequence[int], experience: int) -> float | None:
        """Return the mean over data sets and seeds after an experience.

        Args:
            seeds: All of them have to have learnt it.
            experience: How many measured experiences had been learnt, >= 1.

        Returns:
            None if one of the runs was not measured there.
        """
        runs = [self.steps(seed) for seed in seeds]
        if any(len(run) < experience for run in runs):
            return None
        return _mean([run[experience - 1] for run in runs])


def _mean(runs: Sequence[Reached]) -> float | None:
    return statistics.fmean(statistics.fmean(run.values()) for run in runs) if runs else None


def is_hopeless(
    trial: Trial, trials: Sequence[Trial], seeds: Sequence[int], experience: int
) -> bool:
    """Return whether a trial lies below the median that finished ones had at the same step.

    This is the median rule of Golovin et al. (Google Vizier, KDD 2017) with the value at the step
    in place of the best value so far: after each experience other data sets are measured, so that
    a step's value stands beside those of the same step alone.

    Args:
        trial: It has been measured there.
        trials: The finished ones among them, at least `LEARN_FROM`, make the median.
        seeds: The seeds that have run so far.
        experience: How many experiences the last of them has learnt.
    """
    others = [t.value_at(seeds, experience) for t in trials if t.state == "finished"]
    known = [value for value in others if value is not None]
    own = trial.value_at(seeds, experience)
    return len(known) >= LEARN_FROM and own is not None and own < statistics.median(known)


def best_of(trials: Sequence[Trial]) -> Trial:
    """Return the finished trial with the highest mean, of equal ones the first.

    Raises:
        ArtifactError: None has finished.
    """
    finished = [trial for trial in trials if trial.state == "finished"]
    if not finished:
        raise ArtifactError("no trial has finished: there is nothing to choose from.")
    return max(finished, key=lambda trial: trial.mean or 0.0)
