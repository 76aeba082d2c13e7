"""The median rule, and what a trial has reached step by step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from cliqa.studies.trial import Trial, best_of, is_hopeless
from cliqa.utils.errors import ArtifactError


def finished(number: int, *curves: list[float]) -> Trial:
    """Return a trial whose run with seed k reached the k-th values, one an experience."""
    trial = Trial(number, {}, state="finished")
    for seed, curve in enumerate(curves):
        for place, value in enumerate(curve):
            trial.note(seed, {"a": value}, last=place + 1 == len(curve))
    return trial


def test_values_are_means_over_data_sets_and_seeds_after_the_same_experience() -> None:
    trial = Trial(0, {})
    trial.note(0, {"a": 0.8}, last=False)
    trial.note(0, {"a": 0.2, "b": 0.6}, last=True)
    trial.note(1, {"a": 0.6}, last=False)
    assert trial.value_at([0], 1) == 0.8
    assert trial.value_at([0], 2) == pytest.approx(0.4)
    assert trial.value_at([0, 1], 1) == pytest.approx(0.7)
    assert trial.value_at([0, 1], 2) is None  # not yet
    assert trial.mean == pytest.approx(0.4)
    assert (Trial(1, {}).mean, Trial(1, {}).value_at([0], 1)) == (None, None)


def test_the_median_is_of_the_same_step() -> None:
    others = [finished(k, [0.9, v], [0.5, 0.0]) for k, v in enumerate((0.1, 0.2, 0.3, 0.4))]
    for second, hopeless in ((0.24, True), (0.25, False), (0.26, False)):
        trial = finished(4, [0.9, second])
        assert is_hopeless(trial, others, [0], 2) == hopeless
        assert not is_hopeless(trial, others, [0], 1)  # equal values stay
    assert not is_hopeless(finished(4, [0.0, 0.0]), others[:3], [0], 1)  # too few
    others[0].state = "pruned"
    assert not is_hopeless(finished(4, [0.0, 0.0]), others, [0], 1)
    assert is_hopeless(
        finished(4, [0.9, 0.3], [0.4, 0.1]),
        [*others, finished(5, [0.9, 0.3], [0.5, 0.1])],
        [0, 1],
        1,
    )


def test_the_rule_is_optunas_at_a_single_step() -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    draw = random.Random(0)
    for _ in range(40):
        values = [round(draw.random(), 1) for _ in range(draw.randint(2, 8))]
        study = optuna.create_study(direction="maximize")
        for value in values:
            study.add_trial(optuna.trial.create_trial(value=value, intermediate_values={1: value}))
        asked, own = study.ask(), round(draw.random(), 1)
        asked.report(own, 1)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4)
        found: Any = pruner.prune(study, study.get_trials()[-1])
        others = [finished(k, [value]) for k, value in enumerate(values)]
        assert is_hopeless(finished(9, [own]), others, [0], 1) == found


def test_the_best_is_the_first_of_equal_finished_ones() -> None:
    trials = [finished(0, [0.1]), finished(1, [0.5]), finished(2, [0.5]), finished(3, [0.9])]
    trials[3].state = "pruned"
    assert best_of(trials).number == 1
    with pytest.raises(ArtifactError, match="no trial has finished"):
        best_of([])
