"""The next values of a tuning, by Optuna's Gaussian process.

Of Optuna's samplers it found the best values in ten trials of one or two keys, which is what a
tuning can afford; the tree-structured Parzen estimator was no better than random draws there.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from cliqa.deploy.libraries import library
from cliqa.studies.search_space import Choice, Interval, Space
from cliqa.utils.seed import derive_seed

FIRST = 5
"""So many values are drawn at random before the process learns from them."""


def draw(
    space: Space, past: Sequence[tuple[Mapping[str, Any], float | None]], seed: int
) -> dict[str, Any]:
    """Return the values of the next trial by key.

    The same past and seed give the same values, whether a tuning was stopped in between or not.

    Args:
        space: What may be drawn.
        past: The values of every earlier trial, in order, and what they reached; None if that is
            not known (yet), which counts as the worst so far: it is not tried again at once.
        seed: Of the tuning.

    Raises:
        ConfigError: Optuna is not installed.
    """
    optuna = library("optuna", extra="tune")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    number = derive_seed(seed, "tune", len(past)) % 2**32
    sampler = optuna.samplers.GPSampler(seed=number, n_startup_trials=FIRST)
    ranges = {key: _distribution(optuna, rule) for key, rule in space.items()}
    study = optuna.create_study(direction="maximize", sampler=sampler)
    worst = min((value for _, value in past if value is not None), default=0.0)
    for values, reached in past:
        value = worst if reached is None else reached
        study.add_trial(
            optuna.trial.create_trial(params=dict(values), distributions=ranges, value=value)
        )
    found: dict[str, Any] = study.ask(ranges).params
    return {key: _written(space[key], value) for key, value in found.items()}


def _written(rule: Interval | Choice, value: Any) -> Any:  # noqa: ANN401
    """Return a drawn value with as many digits as a config has."""
    return rule.rounded(value) if isinstance(rule, Interval) else value


def _distribution(optuna: Any, rule: Interval | Choice) -> Any:  # noqa: ANN401
    """Return a rule as Optuna has it."""
    kinds = optuna.distributions
    if isinstance(rule, Choice):
        return kinds.CategoricalDistribution(rule.values)
    if rule.whole:
        return kinds.IntDistribution(int(rule.low), int(rule.high), log=rule.log)
    return kinds.FloatDistribution(rule.low, rule.high, log=rule.log)
