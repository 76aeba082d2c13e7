"""Which of two models is better, by the images that both have seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cliqa.evaluation.bootstrap import resample_counts
from cliqa.evaluation.comparison import compare_evaluations, paired_accuracy, same_protocol
from cliqa.utils.errors import EvaluationError


def evaluation(
    prediction: Sequence[Any], target: Sequence[Any], measure: str = "srcc", step: str = "ToTensor"
) -> dict[str, Any]:
    """Return what a file of results holds about one data set."""
    rows = [
        {"image": f"{k}.jpg", "prediction": said, "target": true}
        for k, (said, true) in enumerate(zip(prediction, target, strict=True))
    ]
    protocol = {"split": "test", "preprocessing": [{"type": step}]}
    data = {"metrics": {measure: 0.5, "n": len(rows)}, "predictions": rows}
    return {"protocol": protocol, "datasets": {"d": data}}


def scores(n: int = 80, seed: int = 0) -> tuple[list[float], list[float], list[float]]:
    """Return predictions of a better and of a worse model, and the truth."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=n)
    good, bad = (truth + noise * random.normal(size=n) for noise in (0.3, 1.0))
    return good.tolist(), bad.tolist(), truth.tolist()


def test_the_difference_of_srcc_is_that_of_direct_resampling() -> None:
    good, bad, truth = scores()
    (row,) = compare_evaluations(
        {"x": evaluation(good, truth), "y": evaluation(bad, truth)}, resamples=300, seed=5
    )
    gaps = []
    for counts in np.concatenate(list(resample_counts(80, 300, 5))):
        drawn = np.repeat(np.arange(80), counts.astype(int))
        a, b, y = (np.asarray(side)[drawn] for side in (good, bad, truth))
        gaps.append(stats.spearmanr(a, y).statistic - stats.spearmanr(b, y).statistic)
    assert row["interval"] == pytest.approx(np.quantile(gaps, [0.025, 0.975]), abs=1e-9)
    expected = stats.spearmanr(good, truth).statistic - stats.spearmanr(bad, truth).statistic
    assert row["difference"] == pytest.approx(expected)
    assert (row["a"], row["b"], row["dataset"], row["measure"]) == ("x", "y", "d", "srcc")
    assert (row["n"], row["note"]) == (80, None)
    assert row["interval"][0] > 0


def test_equal_models_differ_in_about_one_interval_of_twenty() -> None:
    outside = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        truth = random.normal(size=60)
        a, b = (truth + random.normal(size=60) for _ in "ab")
        models = {
            name: evaluation(said.tolist(), truth.tolist()) for name, said in (("a", a), ("b", b))
        }
        low, high = compare_evaluations(models, resamples=200, seed=seed)[0]["interval"]
        outside += not low <= 0 <= high
    assert 2 <= outside <= 22  # 5 % of 200 are 10


def test_accuracy_is_that_of_direct_resampling() -> None:
    random = np.random.default_rng(0)
    a, b = random.random(300) < 0.8, random.random(300) < 0.7
    found = paired_accuracy(a, b, resamples=4000)
    drawn = random.integers(300, size=(4000, 300))
    gaps = a[drawn].mean(1) - b[drawn].mean(1)
    assert found.interval == pytest.approx(np.quantile(gaps, [0.025, 0.975]), abs=0.008)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert (found.value_a, found.value_b) == pytest.approx((a.mean(), b.mean()))
    mirrored = paired_accuracy(b, a, resamples=4000)
    assert mirrored.difference == -found.difference


def test_one_model_twice_shows_no_difference() -> None:
    right = np.arange(50) % 3 > 0
    found = paired_accuracy(right, right)
    assert (found.difference, found.interval, found.p_value) == (0, (0, 0), 1)


def test_classifiers_are_compared_by_what_they_say() -> None:
    truth = ["cat", "dog"] * 20
    sure = evaluation(truth, truth, "accuracy")
    cats = evaluation(["cat"] * 40, truth, "accuracy")
    (row,) = compare_evaluations({"cats": cats, "sure": sure})
    assert (row["measure"], row["difference"], row["value_b"]) == ("accuracy", -0.5, 1)
    assert row["interval"][1] < 0
    assert row["p_value"] < 0.01


def test_every_pair_and_every_common_data_set() -> None:
    good, bad, truth = scores()
    models = {name: evaluation(good, truth) for name in "abc"}
    models["b"]["datasets"]["e"] = models["b"]["datasets"]["d"]
    models["c"]["datasets"]["e"] = evaluation(bad, truth)["datasets"]["d"]
    rows = compare_evaluations(models, resamples=10)
    found = [(row["dataset"], row["a"], row["b"]) for row in rows]
    assert found == [("d", "a", "b"), ("d", "a", "c"), ("d", "b", "c"), ("e", "b", "c")]


def test_different_images_or_scores_are_not_compared() -> None:
    good, bad, truth = scores()
    ahead = evaluation(good[1:], truth[1:])
    shifted = evaluation(good, [*truth[:-1], 0.0])
    for other in (ahead, shifted):
        (row,) = compare_evaluations({"a": evaluation(bad, truth), "b": other})
        assert row["difference"] is row["interval"] is row["p_value"] is None
        assert row["note"].startswith("not compared: the two were measured on different images")


def test_what_is_not_finite_or_constant_is_not_compared() -> None:
    good, _, truth = scores()
    for said, reason in (([None, *good[1:]], "not finite"), ([0.5] * 80, "srcc of model B")):
        models = {"a": evaluation(good, truth), "b": evaluation(said, truth)}
        (row,) = compare_evaluations(models)
        assert row["difference"] is None
        assert reason in row["note"]


def test_different_protocols_are_said() -> None:
    good, bad, truth = scores()
    models = {"a": evaluation(good, truth), "b": evaluation(bad, truth, step="Resize")}
    (row,) = compare_evaluations(models)
    assert row["difference"] > 0
    assert row["note"] == "the models saw the images in different ways"
    assert not same_protocol(list(models.values()))
    assert same_protocol([models["a"], evaluation(bad, truth)])


def test_few_samples_have_no_interval() -> None:
    found = paired_accuracy([True] * 9, [False] * 9)
    assert (found.difference, found.interval, found.p_value) == (1, None, None)


def test_answers_must_pair() -> None:
    for a, b in (([True], [True, False]), ([], [])):
        with pytest.raises(EvaluationError, match="needs as many of each, and one"):
            paired_accuracy(a, b)
