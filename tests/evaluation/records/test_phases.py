"""The comparison of methods and their files, from runs whose values are worked out by hand."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from cliqa.evaluation.records.phases import (
    HEADS,
    Phases,
    build_phases,
    difference_table,
    phases_report,
    phases_table,
    quality_of_file,
    trained_parameters,
    training_seconds,
)
from cliqa.utils.errors import EvaluationError

NAMES = ["a", "b", "c"]


def results(**parts: Any) -> dict[str, Any]:
    """Return a run over three tasks whose accuracy on the first falls from 1 to .4 and to .3."""
    matrix = [[1.0, 0.0, 0.0], [0.4, 0.9, 0.0], [0.3, 0.6, 0.8]]
    held = {"datasets": NAMES, "matrix": {"accuracy": matrix}}
    return {**held, "seconds": {"train": [1.0, 2.0, 4.0]}, "parameters": {}, **parts}


def values(**own: float) -> dict[str, float | None]:
    """Return a run's numbers, each 1 if it is not given."""
    return {**dict.fromkeys(HEADS, 1.0), **own}


def test_a_file_is_held_against_the_best_of_its_run() -> None:
    scores = {
        "accuracy": dict(zip(NAMES, (0.2, 0.5, 0.8), strict=True)),
        "accuracy_task_il": dict(zip(NAMES, (0.9, 0.8, 1.0), strict=True)),
    }
    found = quality_of_file(results(), scores)
    assert found["accuracy"] == pytest.approx(0.5)  # (.2 + .5 + .8) / 3
    assert found["accuracy_task_il"] == pytest.approx(0.9)
    assert found["forgetting"] == pytest.approx(0.6)  # ((1 - .2) + (.9 - .5)) / 2


def test_a_file_that_rounds_nothing_has_the_runs_own_forgetting() -> None:
    scores = {"accuracy": dict(zip(NAMES, (0.3, 0.6, 0.8), strict=True))}
    found = quality_of_file(results(), scores)
    assert found["forgetting"] == pytest.approx(0.5)  # ((1 - .3) + (.9 - .6)) / 2
    assert found["accuracy_task_il"] is None


def test_scores_of_other_data_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"the file's scores lack b, c"):
        quality_of_file(results(), {"accuracy": {"a": 0.5}})


def test_costs_are_summed_over_the_stream_or_of_its_end() -> None:
    assert training_seconds(results()) == {"train_s": 7.0, "train_cpu_s": None}
    counted = results(
        seconds={"train": [1.0, 2.0], "train_cpu": [0.5, 1.0]},
        parameters={"all": [90, 90], "trained": [80, 10]},
    )
    assert training_seconds(counted) == {"train_s": 3.0, "train_cpu_s": 1.5}
    assert trained_parameters(counted) == 10
    assert trained_parameters(results()) is None


@pytest.fixture
def phases() -> Phases:
    runs = {
        "er": {
            "seed 0": values(accuracy=0.7, trainable=29066, fps_1=2000),
            "seed 1": values(accuracy=0.8, trainable=29066, fps_1=1000),
        },
        "lora": {"seed 0": values(accuracy=0.6), "seed 1": values(accuracy=0.72)},
        "stack": {"seed 1": values(accuracy=0.5)},
    }
    labels = {"er": "ER", "lora": "LoRA + ER", "stack": "Full stack"}
    return build_phases(
        runs,
        labels=labels,
        replicates=["seed 0", "seed 1"],
        base="er",
        about={"epochs": 3},
        notes=["a remark"],
    )


def test_rows_are_means_with_students_interval(phases: Phases) -> None:
    rows = {row[0]: dict(zip(HEADS, row[2:], strict=True)) for row in phases_table(phases).rows}
    # t(0.975, 1) = 12.706, s / sqrt(2) = .05: the reach is .635
    assert rows["ER"]["accuracy"] == "0.750 ±0.635"
    assert rows["ER"]["trainable"] == "29,066"  # the same in all runs
    assert rows["ER"]["fps_1"] == "1,500 ±6,353"  # 12.706 x 500
    assert rows["Full stack"]["accuracy"] == "0.500 ±n/a"
    assert rows["Full stack"]["trainable"] == "1 ±n/a"


def test_differences_are_paired_by_seed(phases: Phases) -> None:
    table = difference_table(phases)
    assert table is not None
    # -.10 and -.08: mean -.09, reach 12.706 x .01; the stack has one pair alone
    assert [row[:2] for row in table.rows] == [("LoRA + ER", "-0.090 ±0.127")]
    stack = next(row for row in phases["differences"] if row["arm"] == "stack")
    assert stack["columns"]["accuracy"]["mean"] == pytest.approx(-0.3)


def test_what_has_not_finished_is_told(phases: Phases) -> None:
    assert phases["notes"] == ["a remark", "Full stack: not finished: seed 0"]
    assert "- Full stack: not finished: seed 0" in phases_report(phases)
    with pytest.raises(EvaluationError, match="no run of the study has finished"):
        build_phases({"er": {}}, labels={}, replicates=[], base="er", about={})


def test_machines_get_all_digits(phases: Phases) -> None:
    (first, *_) = csv.DictReader(io.StringIO(phases_report(phases, "csv")))
    assert (first["arm"], first["runs"]) == ("er", "2")
    assert float(first["accuracy"]) == pytest.approx(0.75)
    assert float(first["accuracy_low"]) == pytest.approx(0.75 - 12.7062 * 0.05, abs=1e-5)


def test_a_number_that_a_run_has_not_counted_is_not_defined() -> None:
    runs = {"er": {"seed 0": {**values(), "train_cpu_s": None}}}
    found = build_phases(runs, labels={"er": "ER"}, replicates=["seed 0"], base="er", about={})
    (row,) = phases_table(found).rows
    assert row[2 + list(HEADS).index("train_cpu_s")] == "n/a"
    assert difference_table(found) is None
