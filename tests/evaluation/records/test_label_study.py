"""Two configs at several numbers of training images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cliqa.evaluation.mean_interval import mean_interval
from cliqa.evaluation.records.study import build_label_study
from cliqa.evaluation.records.study_tables import label_table
from cliqa.evaluation.records.tables import verdict
from cliqa.utils.errors import EvaluationError

PLAIN = {50: (0.2, 0.4, 0.3), 500: (0.7, 0.9, 0.8)}
TUNED = {50: (0.5, 0.7, 0.6), 500: (0.71, 0.88, 0.82)}


@pytest.fixture
def runs(make_results: Callable[..., Any]) -> Any:
    """Return three seeds of two configs at two numbers of images."""
    return {
        images: {
            name: {
                f"seed {k}": make_results((value, value)) for k, value in enumerate(values[images])
            }
            for name, values in (("plain", PLAIN), ("tuned", TUNED))
        }
        for images in (500, 50)
    }


def test_differences_are_paired_by_seed(runs: Any) -> None:
    study = build_label_study(runs, "plain", "tuned")
    assert (study["measure"], study["final"]) == ("srcc", "msrcc")
    assert [row["images"] for row in study["rows"]] == [50, 500]
    few, many = study["rows"]
    assert few["plain"]["mean"] == pytest.approx(0.3)
    assert few["difference"]["values"] == pytest.approx([0.3, 0.3, 0.3])
    assert few["difference"]["high"] == pytest.approx(0.3)  # though the seeds lie far apart
    expected = mean_interval([0.01, -0.02, 0.02])
    assert many["difference"]["low"] == pytest.approx(expected.low)
    table = " ".join(label_table(study, "markdown").split())
    assert "| 50 | 3 | 0.300 ±0.248 | 0.600 ±0.248 | 0.300 ±0.000 | better |" in table
    assert table.endswith("no difference shown |")


def test_seeds_that_one_config_lacks_do_not_count(runs: Any) -> None:
    del runs[50]["tuned"]["seed 1"]
    few = build_label_study(runs, "plain", "tuned")["rows"][0]
    assert few["seeds"] == ["seed 0", "seed 2"]
    assert few["plain"]["values"] == pytest.approx([0.2, 0.3])


def test_undefined_finals_leave_the_mean_undefined(
    runs: Any, make_results: Callable[..., Any]
) -> None:
    runs[50]["tuned"]["seed 1"] = make_results((None, None))
    few = build_label_study(runs, "plain", "tuned")["rows"][0]
    assert few["difference"]["values"][1] is None
    assert few["difference"]["mean"] is None
    assert "n/a" in label_table(build_label_study(runs, "plain", "tuned"))


def test_nothing_finished_is_an_error(runs: Any) -> None:
    for arms in runs.values():
        arms["tuned"] = {}
    with pytest.raises(EvaluationError, match="no seed has finished in both configs"):
        build_label_study(runs, "plain", "tuned")


def test_verdicts() -> None:
    assert verdict([-0.3, -0.1]) == "worse"
    assert verdict(None) == "n/a"
