"""The next values of a tuning, by Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from cliqa.deploy.libraries import library
from cliqa.studies.search_space import Choice, Interval, Space
from cliqa.utils.seed import derive_seed

FIRST = 5
"""So many values are drawn at random before the estimator learns from them."""


def draw(
    space: Space, past: Sequence[tuple[Mapping[str, Any], float | None]], seed: int
) -> dict[str, Any]:
    """Return the values of the next trial by key.

    The same past and seed give the same values, whether a tuning was stopped in between or not.

    Args:
        space: What may be drawn.
        past: The values of every earlier trial, in order, and what they reached; None if that is
            not known (yet).
        seed: Of the tuning.

    Raises:
        ConfigError: Optuna is not installed.
    """
    optuna = library("optuna", extra="tune")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    sampler = optuna.samplers.TPESampler(
        seed=derive_seed(seed, "tune", len(past)) % 2**32,
        n_startup_trials=FIRST,
        constant_liar=True,  # of trials that run at the same time, as if they were bad
    )
    ranges = {key: _distribution(optuna, rule) for key, rule in space.items()}
    study = optuna.create_study(direction="maximize", sampler=sampler)
    states = optuna.trial.TrialState
    for values, reached in past:
        state = states.RUNNING if reached is None else states.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(values), distributions=ranges, value=reached, state=state
            )
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
