"""Measures of continual learning against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cliqa.evaluation.matrix import (
    ValueOrReason,
    anytime_mean,
    as_matrix,
    bwt,
    final_mean,
    forgetting,
    forgetting_from_first,
    fwt,
    gap_closed,
    learning_mean,
    plasticity_stability_mean,
    stability,
    stability_mean,
    unseen_mean,
)
from cliqa.utils.errors import EvaluationError

NAN = float("nan")

R = np.array(
    [
        [0.80, 0.30, 0.20, 0.10],
        [0.90, 0.70, 0.40, 0.20],
        [0.60, 0.75, 0.95, 0.30],
    ]
)
"""Three experiences and a fourth data set that is never learnt."""

EXAMPLES = [
    (final_mean(R), (0.60 + 0.75 + 0.95) / 3),
    (final_mean(R, learnt=4), (0.60 + 0.75 + 0.95 + 0.30) / 4),
    (unseen_mean(R), 0.30),
    (anytime_mean(R), (0.80 + (0.90 + 0.70) / 2 + (0.60 + 0.75 + 0.95) / 3) / 3),
    (learning_mean(R), (0.80 + 0.70 + 0.95) / 3),
    (bwt(R), ((0.60 - 0.80) + (0.75 - 0.70)) / 2),
    (forgetting(R), ((0.90 - 0.60) + (0.70 - 0.75)) / 2),
    (forgetting_from_first(R), ((0.80 - 0.60) + (0.70 - 0.75)) / 2),
    (fwt(R, [0.0, 0.1, 0.1, 0.1]), ((0.30 - 0.1) + (0.40 - 0.1)) / 2),
]


@pytest.mark.parametrize(("measured", "by_hand"), EXAMPLES)
def test_equals_the_value_by_hand(measured: ValueOrReason, by_hand: float) -> None:
    assert measured.value == pytest.approx(by_hand, abs=1e-12)
    assert measured.reason is None


def test_best_may_come_before_learning_only_where_it_was_evaluated() -> None:
    before = [[0.8, 0.9], [0.8, 0.5], [0.7, 0.4]]
    wide = np.column_stack([before, [0.0, 0.0, 1.0]])
    assert forgetting(wide).value == pytest.approx(((0.8 - 0.7) + (0.9 - 0.4)) / 2)
    wide[0, 1] = NAN
    assert forgetting(wide).value == pytest.approx(((0.8 - 0.7) + (0.5 - 0.4)) / 2)


def test_future_cells_do_not_count() -> None:
    lower = np.where(np.tri(3, 4, dtype=bool), R, NAN)
    for measure in (final_mean, anytime_mean, learning_mean, bwt, forgetting_from_first):
        assert measure(lower) == measure(R)


def test_a_needed_cell_without_a_value_makes_the_measure_undefined() -> None:
    broken = R.copy()
    broken[2, 0] = NAN
    for measure in (final_mean, anytime_mean, bwt, forgetting, forgetting_from_first):
        assert measure(broken) == ValueOrReason(None, "R[2, 0] is not defined", (2, 0))
    assert learning_mean(broken) == learning_mean(R)
    hidden = R.copy()
    hidden[1, 0] = NAN  # the best of data set 0: leaving it out would flatter
    assert forgetting(hidden).cell == (1, 0)
    assert bwt(hidden) == bwt(R)


def test_one_experience_has_no_transfer() -> None:
    single = [[0.8, 0.5]]
    for measured in (bwt(single), forgetting(single), forgetting_from_first(single), fwt(single)):
        assert measured == ValueOrReason(None, "it needs two experiences, there is one")
    assert final_mean(single).value == anytime_mean(single).value == 0.8


def test_fewer_data_sets_than_experiences_have_no_diagonal() -> None:
    tall = [[0.5], [0.6], [0.7]]
    assert learning_mean(tall).reason == "there are fewer data sets than experiences"
    assert bwt(tall).reason == "there are fewer data sets than experiences"
    assert forgetting(tall).reason == "there are fewer data sets than experiences"
    assert final_mean(tall).value == 0.7


def test_forward_transfer_says_what_it_lacks() -> None:
    assert fwt(R).reason == "it needs the scores of the model before any training"
    assert fwt(R, [0, NAN, 0, 0]).reason == "a score of the untrained model is not defined"
    lower = np.where(np.tri(3, 4, dtype=bool), R, NAN)
    assert fwt(lower, [0, 0, 0, 0]).cell == (0, 1)
    with pytest.raises(EvaluationError, match="2 scores of the untrained model for 4 data sets"):
        fwt(R, [0, 0])


def test_unseen_needs_a_data_set_that_was_not_learnt() -> None:
    assert unseen_mean(R[:, :3]).reason == "every data set has been learnt"
    assert unseen_mean(R, learnt=2).value == pytest.approx((0.95 + 0.30) / 2)


def test_stability_compares_models_not_labels() -> None:
    random = np.random.default_rng(0)
    y = {(t, k): random.random(30) for t in range(3) for k in range(3)}
    grid = [[y[t, k] for k in range(3)] for t in range(3)]

    def agreement(a: tuple[int, int], b: tuple[int, int]) -> float:
        return float(stats.spearmanr(y[a], y[b]).statistic)

    by_hand = [
        1.0,
        agreement((1, 0), (0, 0)),
        (agreement((2, 0), (0, 0)) + agreement((2, 1), (1, 1))) / 2,
    ]
    assert stability(grid) == pytest.approx(by_hand)
    assert stability_mean(stability(grid)).value == pytest.approx(np.mean(by_hand))
    assert stability([row[: t + 1] for t, row in enumerate(grid)]) == stability(grid)


def test_stability_of_a_model_that_keeps_its_ranks_is_one() -> None:
    first = np.random.default_rng(0).random(20)
    grid = [[first], [0.1 + first**3, first], [5 * first, first, first]]
    assert stability(grid) == pytest.approx([1.0, 1.0, 1.0])


def test_stability_without_ranks_is_not_defined() -> None:
    first = np.random.default_rng(0).random(20)
    indices = stability([[first], [np.full(20, 0.5), first], [first, first, first]])
    assert indices == [1.0, None, 1.0]
    assert stability_mean(indices) == ValueOrReason(
        None, "the stability after experience 1 is not defined"
    )
    assert stability_mean([]).reason == "it needs the predictions of every experience"


def test_stability_refuses_missing_predictions() -> None:
    with pytest.raises(EvaluationError, match="after experience 1 cover 1 data sets, 2 are needed"):
        stability([[[1, 2]], [[1, 2]]])
    with pytest.raises(EvaluationError, match="3 predictions for 2 targets"):
        stability([[[1, 2]], [[1, 2, 3], [1, 2]]])


def test_plasticity_and_stability_count_alike() -> None:
    indices = [1.0, 0.9, 0.5]
    by_hand = np.mean([(0.80 + 1.0) / 2, (0.70 + 0.9) / 2, (0.95 + 0.5) / 2])
    assert plasticity_stability_mean(R, indices).value == pytest.approx(by_hand)
    assert plasticity_stability_mean(R, [1.0, None, 0.5]).reason == (
        "the stability after experience 1 is not defined"
    )
    assert plasticity_stability_mean([[NAN]], [1.0]).cell == (0, 0)


def test_gap_closed() -> None:
    assert gap_closed(0.7, naive=0.5, joint=0.9).value == pytest.approx(0.5)
    assert gap_closed(0.5, naive=0.5, joint=0.9).value == 0.0
    assert gap_closed(0.9, naive=0.5, joint=0.9).value == pytest.approx(1.0)
    assert gap_closed(0.7, naive=0.9, joint=0.9).reason == (
        "joint training is no better than naive fine-tuning"
    )


def test_matrix_takes_none_and_refuses_what_is_no_matrix() -> None:
    np.testing.assert_array_equal(as_matrix([[0.5, None]]), [[0.5, NAN]])
    with pytest.raises(EvaluationError, match=r"got shape \(2,\)"):
        as_matrix([0.1, 0.2])
    with pytest.raises(EvaluationError, match=r"got shape \(1, 0\)"):
        as_matrix([[]])
    with pytest.raises(EvaluationError, match="is no matrix of numbers"):
        as_matrix([[0.1], [0.2, 0.3]])


def test_leaves_the_callers_matrix_alone() -> None:
    before = R.copy()
    for measure in (final_mean, anytime_mean, learning_mean, bwt, forgetting, unseen_mean):
        measure(R)
    np.testing.assert_array_equal(R, before)
