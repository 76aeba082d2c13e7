"""From rows to the content of results.json."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from cliqa.evaluation.matrix import clear_measures
from cliqa.evaluation.quality import quality_metrics
from cliqa.evaluation.records.build_results import build_results
from cliqa.evaluation.records.results import check_results
from cliqa.utils.errors import EvaluationError

NAMES = ["eva", "ava"]


def row(t: int, name: str, srcc: float | None, **more: Any) -> dict[str, Any]:
    """A row of one experience and data set."""
    return {"kind": "eval", "experience": t, "dataset": name, "after": "x", "srcc": srcc, **more}


def build(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Results of a stream over eva and ava."""
    facts: dict[str, Any] = {"experiences": NAMES, "datasets": NAMES}
    facts |= {"status": "finished", "seed": 3, "config": "config/x.py", **more}
    return build_results(rows, **facts)


ROWS = [row(0, "eva", 0.8), row(0, "ava", 0.3), row(1, "eva", 0.7), row(1, "ava", 0.9)]


def test_has_the_documented_form() -> None:
    results = build(ROWS, stability=[1.0, 0.9], seconds={"train": [2, 3], "eval": (1, 1)})
    assert results == {
        "status": "finished",
        "seed": 3,
        "config": "config/x.py",
        "joint": False,
        "experiences": NAMES,
        "datasets": NAMES,
        "images": [None, None],
        "matrix": {"srcc": [[0.8, 0.3], [0.7, 0.9]]},
        "interval": {},
        "summary": results["summary"],
        "seconds": {"train": [2.0, 3.0], "eval": [1.0, 1.0]},
        "memory": {},
        "parameters": {},
        "warnings": [],
    }
    assert results["summary"]["msrcc"] == pytest.approx(0.8)
    assert {"msrcc", "mpi", "msi", "bwt", "forgetting"} <= set(results["summary"])
    assert check_results(json.loads(json.dumps(results, allow_nan=False)), "here") == results


def test_order_of_rows_does_not_matter() -> None:
    assert build(ROWS) == build(ROWS[::-1])


def test_takes_the_rows_of_quality_reports() -> None:
    random = np.random.default_rng(0)
    y = random.random(30)
    rows = []
    for t in range(2):
        for name in NAMES:
            x = np.full(30, 0.5) if (t, name) == (1, "ava") else y + 0.1 * random.normal(size=30)
            rows.append(row(t, name, None) | quality_metrics(x, y, bootstrap=40).to_row())
    results = build(rows)
    assert set(results["matrix"]) == {"srcc", "plcc", "plcc_fit", "krcc", "rmse", "rmse_fit"}
    assert set(results["interval"]) == {"srcc", "plcc", "rmse"}
    assert results["images"] == [30, 30]
    assert results["matrix"]["srcc"][1][1] is None
    assert results["interval"]["srcc"][1][1] is None
    low, high = results["interval"]["srcc"][0][0]
    assert low < results["matrix"]["srcc"][0][0] < high
    assert "after ava on ava: constant prediction" in results["warnings"]
    assert "msrcc: it is not defined after ava on ava" in results["warnings"]
    json.dumps(results, allow_nan=False)


def test_run_under_way_has_fewer_rows() -> None:
    results = build(ROWS[:2], status="running")
    assert results["matrix"]["srcc"] == [[0.8, 0.3]]
    assert results["summary"]["msrcc"] == 0.8
    assert results["summary"]["bwt"] is None
    assert "bwt: it needs two experiences, there is one" in results["warnings"]


def test_cells_that_were_not_evaluated_are_null_and_named() -> None:
    names = list("abcd")
    rows = [row(t, name, 0.5) for t in range(3) for name in names[: t + 1]]
    results = build(rows, experiences=names[:3], datasets=names)
    assert results["matrix"]["srcc"][0] == [0.5, None, None, None]
    assert results["warnings"][0] == (
        "not evaluated: after a on b, after a on c, after a on d and 3 more"
    )
    assert results["summary"]["msrcc"] == 0.5


def test_null_without_a_reason_gets_one() -> None:
    results = build([row(0, "eva", float("nan")), row(0, "ava", 0.2)])
    assert results["matrix"]["srcc"] == [[None, 0.2]]
    assert "after eva on eva: srcc is not defined" in results["warnings"]


def test_joint_training_has_one_row() -> None:
    results = build([row(0, "eva", 0.8), row(0, "ava", 0.6)], joint=True)
    assert results["matrix"]["srcc"] == [[0.8, 0.6]]
    assert results["summary"]["msrcc"] == pytest.approx(0.7)
    assert "forgetting: joint training sees all data at once" in results["warnings"]
    with pytest.raises(EvaluationError, match=r"experience 1 of 0\.\.0; joint training has one"):
        build([row(1, "eva", 0.8)], joint=True)


def test_classes_take_clears_measures() -> None:
    rows = [
        {"experience": 0, "dataset": name, "accuracy": 0.5, "accuracy_task_il": 0.9}
        for name in NAMES
    ]
    results = build(rows, extra_summary=clear_measures([[0.5]]))
    assert list(results["matrix"]) == ["accuracy", "accuracy_task_il"]
    assert results["summary"]["in_domain"] == 0.5
    assert results["summary"]["average_accuracy"] == 0.5
    assert "next_domain: not defined" in results["warnings"]


def test_measures_that_are_not_defined_take_the_reasons_given() -> None:
    extra = {"average_accuracy_task_il": 0.9, "forgetting_task_il": None, "next_domain": None}
    results = build(ROWS[:2], extra_summary=extra, extra_reasons={"forgetting_task_il": "one step"})
    assert {name: results["summary"][name] for name in extra} == extra
    assert "forgetting_task_il: one step" in results["warnings"]
    assert "next_domain: not defined" in results["warnings"]
    assert not any(text.startswith("average_accuracy_task_il") for text in results["warnings"])


def ahead(count: int, last: int) -> list[dict[str, Any]]:
    """Rows of a stream over `count` buckets after `last` of them: only what lies ahead."""
    return [
        {"experience": t, "dataset": f"b{k}", "accuracy": 0.1 * (k + 1) + 0.01 * t}
        for t in range(last)
        for k in range(t + 1, count)
    ]


def test_a_model_tested_ahead_only_has_no_cell_of_what_it_learnt() -> None:
    names = [f"b{k}" for k in range(3)]
    clear: dict[str, float | None] = {"in_domain": None, "next_domain": 0.255}
    results = build(
        ahead(3, 2),
        experiences=names,
        datasets=names,
        extra_summary=clear,
        extra_reasons={"in_domain": "tested later"},
        ahead_only="later buckets alone",
    )
    assert results["matrix"]["accuracy"] == [
        [None, pytest.approx(0.2), pytest.approx(0.3)],
        [None, None, pytest.approx(0.31)],
    ]
    assert "unseen" not in results["summary"]  # that is what every cell is
    ours = {name for name in results["summary"] if name not in clear}
    assert {"average_accuracy", "bwt", "forgetting"} <= ours
    assert all(results["summary"][name] is None for name in ours)
    assert set(results["warnings"]) == {
        "in_domain: tested later",
        *(f"{name}: later buckets alone" for name in ours),
    }
    json.dumps(results, allow_nan=False)


def test_what_lies_ahead_and_was_not_evaluated_is_named() -> None:
    names = [f"b{k}" for k in range(3)]
    facts: dict[str, Any] = {"experiences": names, "datasets": names}
    results = build(ahead(3, 2)[:1] + ahead(3, 2)[2:], **facts, ahead_only="later buckets alone")
    assert results["warnings"][0] == "not evaluated: after b0 on b2"
    everywhere = build(ahead(3, 2), **facts)
    assert everywhere["warnings"][0] == (
        "not evaluated: after b0 on b0, after b1 on b0, after b1 on b1"
    )


def test_ahead_only_leaves_a_reason_for_every_measure_that_is_missing() -> None:
    names = [f"b{k}" for k in range(4)]
    for last in (1, 2, 3):
        results = build(
            ahead(4, last), experiences=names, datasets=names, ahead_only="later buckets alone"
        )
        missing = [name for name, value in results["summary"].items() if value is None]
        explained = {text.partition(":")[0] for text in results["warnings"]}
        assert missing
        assert set(missing) <= explained


def test_numbers_that_are_no_measure_stay_out() -> None:
    more = {"n": 5, "n_ties": 2, "epoch": 3, "seconds": 1.5, "flag": True, "mae": 0.1}
    results = build([row(0, name, 0.5, **more) for name in NAMES])
    assert list(results["matrix"]) == ["srcc", "mae"]
    assert results["images"] == [5, 5]


def test_further_warnings_come_first() -> None:
    results = build(ROWS, warnings=["eva shares 490 images with ava"])
    assert results["warnings"][0] == "eva shares 490 images with ava"


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        ([], {}, "there is no evaluation yet"),
        ([*ROWS, ROWS[0]], {}, "two rows are about experience 0 and data set 'eva'"),
        ([row(0, "koniq", 0.5)], {}, "data set 'koniq'; known: eva, ava"),
        ([row(2, "eva", 0.5)], {}, r"experience 2 of 0\.\.1\."),
        ([row(0, "eva", float("inf"))], {}, "srcc after experience 0 on 'eva' is infinite"),
        ([{"experience": 0, "dataset": "eva"}], {}, "no row holds a measure"),
        (ROWS, {"datasets": ["ava", "eva"]}, "'eva' is experience 0 but number 1"),
        (ROWS, {"datasets": ["eva", "ava", "eva"]}, "two data sets share a name"),
    ],
)
def test_refuses_rows_that_do_not_add_up(
    rows: list[dict[str, Any]], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        build(rows, **more)
