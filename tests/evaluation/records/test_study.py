"""Several configs over several seeds: pairing, order, gaps, and what is not defined."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cliqa.evaluation.mean_interval import mean_interval
from cliqa.evaluation.records.results import Results
from cliqa.evaluation.records.study import Study, build_study
from cliqa.utils.errors import EvaluationError

Make = Callable[..., Results]

SEEDS = ["seed 0", "seed 1", "seed 2"]


@pytest.fixture
def runs(make_results: Make) -> dict[str, dict[str, Results]]:
    """Return a method, both bounds and another method over three seeds."""
    found: dict[str, dict[str, Results]] = {"replay": {}, "joint": {}, "l2": {}, "naive": {}}
    for k, seed in enumerate(SEEDS):
        found["replay"][seed] = make_results((0.7 + 0.1 * k, 0.9), seconds=20 + k)
        found["joint"][seed] = make_results((0.9, 0.9), joint=True, seconds=12)
        found["l2"][seed] = make_results((0.5, 0.8), seconds=11)
        found["naive"][seed] = make_results((0.1 * k, 0.9), seconds=10)
    return found


def study_of(runs: Any, **bounds: Any) -> Study:
    """Return the study of runs with both bounds."""
    return build_study(runs, replicates=SEEDS, **{"naive": "naive", "joint": "joint", **bounds})


def columns(study: Study, config: str) -> dict[str, Any]:
    """Return a config's columns."""
    found: dict[str, Any] = next(r["columns"] for r in study["rows"] if r["config"] == config)
    return found


def test_the_bounds_enclose_the_others(runs: Any) -> None:
    study = study_of(runs)
    assert [row["config"] for row in study["rows"]] == ["naive", "replay", "l2", "joint"]
    assert [row["runs"] for row in study["rows"]] == [3, 3, 3, 3]
    assert study["final"] == "msrcc"
    assert study["notes"] == []
    assert json.loads(json.dumps(study)) == study


def test_columns_are_means_over_the_seeds(runs: Any) -> None:
    found = columns(study_of(runs), "replay")
    assert list(found) == [
        *("msrcc", "gap_closed", "forgetting", "forgetting_from_first", "mpi", "train_time")
    ]
    finals = [(0.7 + 0.1 * k + 0.9) / 2 for k in range(3)]
    assert found["msrcc"]["values"] == pytest.approx(dict(zip(SEEDS, finals, strict=True)))
    for key, values in (
        ("msrcc", finals),
        ("forgetting", [0.9 - 0.7 - 0.1 * k for k in range(3)]),
        ("mpi", [0.9] * 3),
    ):
        expected = mean_interval(values)._asdict()
        assert {part: found[key][part] for part in expected} == pytest.approx(expected, abs=1e-9)


def test_gaps_and_times_are_paired_by_seed(runs: Any) -> None:
    study = study_of(runs)
    gaps = []
    for k in range(3):
        value, naive, joint = ((part + 0.9) / 2 for part in (0.7 + 0.1 * k, 0.1 * k, 0.9))
        gaps.append((value - naive) / (joint - naive))
    found = columns(study, "replay")
    assert found["gap_closed"]["values"] == pytest.approx(dict(zip(SEEDS, gaps, strict=True)))
    assert found["gap_closed"]["mean"] == pytest.approx(sum(gaps) / 3)
    assert found["train_time"]["values"] == pytest.approx(
        {"seed 0": 2.0, "seed 1": 2.1, "seed 2": 2.2}
    )
    assert columns(study, "naive")["gap_closed"]["mean"] == 0
    assert columns(study, "joint")["gap_closed"]["mean"] == 1
    assert columns(study, "joint")["forgetting"]["mean"] is None


def test_what_both_have_in_common_does_not_widen_the_gap(runs: Any, make_results: Make) -> None:
    for k, seed in enumerate(SEEDS):  # a seed makes it easy or hard for all three alike
        ease = 0.1 * k
        runs["naive"][seed] = make_results((0.1 + ease, 0.1 + ease))
        runs["replay"][seed] = make_results((0.3 + ease, 0.3 + ease))
        runs["joint"][seed] = make_results((0.5 + ease, 0.5 + ease), joint=True)
    found = columns(study_of(runs), "replay")
    assert found["msrcc"]["high"] - found["msrcc"]["low"] > 0.4
    assert found["gap_closed"]["low"] == pytest.approx(0.5)
    assert found["gap_closed"]["high"] == pytest.approx(0.5)


def test_one_seed_has_no_interval(runs: Any) -> None:
    one = {name: {"seed 0": found["seed 0"]} for name, found in runs.items()}
    found = columns(build_study(one, replicates=["seed 0"]), "l2")
    assert found["msrcc"]["mean"] == pytest.approx(0.65)
    assert found["msrcc"]["low"] is None
    assert found["msrcc"]["high"] is None
    assert "gap_closed" not in found
    assert "train_time" not in found


def test_runs_that_have_not_finished_are_named_and_left_out(runs: Any) -> None:
    del runs["replay"]["seed 1"], runs["naive"]["seed 0"]
    runs["l2"] = {}
    study = study_of(runs)
    assert study["notes"] == [
        "naive: not finished: seed 0",
        "replay: not finished: seed 1",
        "l2: not finished: seed 0, seed 1, seed 2",
    ]
    found = columns(study, "replay")
    assert list(found["msrcc"]["values"]) == ["seed 0", "seed 2"]
    assert list(found["gap_closed"]["values"]) == ["seed 2"]
    assert columns(study, "l2")["msrcc"]["mean"] is None


def test_a_number_that_one_run_lacks_is_not_defined(runs: Any, make_results: Make) -> None:
    runs["replay"]["seed 1"] = make_results((None, 0.9))
    runs["naive"]["seed 2"] = make_results((0.9, 0.95))
    study = study_of(runs)
    found = columns(study, "replay")
    assert found["msrcc"]["mean"] is None
    assert found["mpi"]["mean"] == pytest.approx(0.9)
    assert found["gap_closed"]["mean"] is None
    assert "replay: msrcc: it is not defined after b on a (seed 1)" in study["notes"]
    assert "gap_closed: msrcc is not defined in a run that it compares (seed 1)" in study["notes"]
    no_gap = "gap_closed: joint training is no better than naive fine-tuning (seed 2)"
    assert study["notes"].count(no_gap) == 1


def test_classes_have_both_accuracies(make_results: Make) -> None:
    kind: dict[str, Any] = {"measure": "accuracy"}
    runs = {
        "er": {"seed 0": make_results((0.6, 0.8), task_il=0.9, **kind)},
        "naive": {"seed 0": make_results((0.0, 0.8), task_il=0.7, **kind)},
        "joint": {"seed 0": make_results((0.8, 0.8), joint=True, task_il=0.95, **kind)},
    }
    found = columns(build_study(runs, replicates=SEEDS[:1], naive="naive", joint="joint"), "er")
    assert found["average_accuracy"]["mean"] == pytest.approx(0.7)
    assert found["gap_closed"]["mean"] == pytest.approx(0.75)
    assert found["gap_closed_task_il"]["mean"] == pytest.approx(0.8)
    assert found["learning_accuracy"]["mean"] == pytest.approx(0.85)


def test_without_times_there_is_no_ratio(runs: Any, make_results: Make) -> None:
    runs["l2"]["seed 0"] = make_results((0.5, 0.5), seconds=None)
    assert "train_time" not in columns(study_of(runs), "replay")
    runs["l2"]["seed 0"] = make_results((0.5, 0.5))
    runs["naive"]["seed 0"] = make_results((0.5, 0.5), seconds=0.0)
    assert "l2: train_time: the naive run had none (seed 0)" in study_of(runs)["notes"]


def test_memory_is_a_ratio_to_the_naive_run(make_results: Make) -> None:
    kept = {"naive": 100, "ewc": 300, "joint": 100}
    runs = {
        name: {"seed 0": make_results((0.5, 0.5), joint=name == "joint", kept=size)}
        for name, size in kept.items()
    }
    study = build_study(runs, replicates=["seed 0"], naive="naive", joint="joint")
    assert columns(study, "ewc")["kept_memory"]["mean"] == 3
    assert columns(study, "ewc")["peak_memory"]["mean"] == 1
    runs["ewc"]["seed 0"]["memory"] = {}  # a run of an older version
    study = build_study(runs, replicates=["seed 0"], naive="naive", joint="joint")
    assert "kept_memory" not in columns(study, "ewc")


def test_orders_of_one_stream_can_be_compared(make_results: Make) -> None:
    runs = {"x": {"1": make_results((0.5, 0.5)), "2": make_results((0.5, 0.6), names=("b", "a"))}}
    assert columns(build_study(runs, replicates=["1", "2"]), "x")["msrcc"]["mean"] is not None


def test_what_cannot_be_compared(make_results: Make) -> None:
    with pytest.raises(EvaluationError, match="no run of the study has finished"):
        build_study({"x": {}}, replicates=SEEDS)
    other = make_results((0.5, 0.5), names=("a", "c"))
    runs = {"x": {"seed 0": make_results((0.5, 0.5))}, "y": {"seed 0": other}}
    with pytest.raises(EvaluationError, match=r"x, seed 0: a, b; y, seed 0: a, c\). Study each"):
        build_study(runs, replicates=SEEDS)
    runs["y"]["seed 0"] = make_results((0.5, 0.5), measure="accuracy")
    with pytest.raises(EvaluationError, match="runs of different measures cannot be compared"):
        build_study(runs, replicates=SEEDS)


def test_differences_to_the_first_are_paired_by_seed(runs: Any) -> None:
    del runs["l2"]["seed 2"]
    study = study_of(runs)
    assert study["first"] == "replay"
    found = {row["config"]: row for row in study["differences"]}
    assert list(found) == ["naive", "l2", "joint"]
    assert [row["runs"] for row in found.values()] == [3, 2, 3]
    values = [(0.5 + 0.8) / 2 - (0.7 + 0.1 * k + 0.9) / 2 for k in range(2)]
    column = found["l2"]["columns"]["msrcc"]
    assert column["values"] == pytest.approx(dict(zip(SEEDS[:2], values, strict=True)))
    expected = mean_interval(values)._asdict()
    assert {part: column[part] for part in expected} == pytest.approx(expected)
    of_naive = found["naive"]["columns"]["msrcc"]  # what the seed does to both cancels out
    assert (of_naive["low"], of_naive["high"]) == pytest.approx((-0.35, -0.35))
    assert "gap_closed" not in found["l2"]["columns"]
    assert "train_time" not in found["l2"]["columns"]


def test_a_difference_to_what_is_not_defined_is_not_defined(runs: Any) -> None:
    runs["l2"]["seed 1"]["summary"]["msrcc"] = None
    column = next(r for r in study_of(runs)["differences"] if r["config"] == "l2")["columns"]
    assert column["msrcc"]["values"]["seed 1"] is None
    assert column["msrcc"]["mean"] is None
    assert column["mpi"]["mean"] is not None
    only = build_study({"joint": runs["joint"]}, replicates=SEEDS, joint="joint")
    assert (only["first"], only["differences"]) == ("joint", [])
