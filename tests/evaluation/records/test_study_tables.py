"""A study's table for people and for machines."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest

from cliqa.evaluation.records.results import Results
from cliqa.evaluation.records.study import Study, build_study
from cliqa.evaluation.records.study_tables import study_report, study_table

Make = Callable[..., Results]


@pytest.fixture
def study(make_results: Make) -> Study:
    """Return a study of a method and its bounds over two seeds."""
    runs: dict[str, dict[str, Results]] = {"replay": {}, "naive": {}, "joint": {}}
    for k in range(2):
        runs["replay"][f"seed {k}"] = make_results((0.7, 0.8 + 0.02 * k), seconds=15)
        runs["naive"][f"seed {k}"] = make_results((0.1, 0.9))
        runs["joint"][f"seed {k}"] = make_results((0.9, 0.9), joint=True)
    del runs["joint"]["seed 1"]
    return build_study(runs, replicates=["seed 0", "seed 1"], naive="naive", joint="joint")


def test_cells_are_means_with_the_reach_of_their_intervals(study: Study) -> None:
    table = study_table(study)
    assert table.title == "Final SRCC, mean ± 95 % interval"
    assert table.header == (
        *("", "runs", "mSRCC", "gap closed", "forgetting", "from first", "plasticity", "time"),
    )
    replay = dict(zip(table.header, table.rows[1], strict=True))
    # t(0.975, 1) = 12.706, s = 0.01 / sqrt(2), n = 2
    assert replay["mSRCC"] == "0.755 ±0.064"
    assert replay["gap closed"] == "0.62 ±n/a"  # of one seed alone
    assert replay["time"] == "1.50 ±0.00"
    joint = dict(zip(table.header, table.rows[2], strict=True))
    assert joint["forgetting"] == "n/a"
    assert joint["runs"] == "1"


def test_notes_stand_below(study: Study) -> None:
    for style in ("text", "markdown"):
        notes = study_report(study, style).split("\n\n")[-1].splitlines()
        assert notes[0].startswith("- 2 replicate(s) of every config: seed 0, seed 1.")
        assert "- gap closed: (config - naive) / (joint - naive), within each replicate" in notes
        assert notes[-1] == "- joint: not finished: seed 1"
        assert not any("order" in note for note in notes)


def test_differences_are_shown_where_there_are_pairs(study: Study, make_results: Make) -> None:
    report = " ".join(study_report(study, "markdown").split())
    assert "Difference to replay, paired, mean ± 95 % interval" in report
    # -0.25 and -0.26: t(0.975, 1) = 12.706, s = 0.01 / sqrt(2), n = 2
    assert "| naive | 2 | -0.255 ±0.064 |" in report
    assert "| joint | 1 |" not in report.split("Difference")[1]  # one pair has no interval
    assert "- difference: config - replay, within each replicate that both have finished" in report
    better = {f"seed {k}": make_results((0.9, 0.9)) for k in range(2)}
    worse = {f"seed {k}": make_results((0.8, 0.8)) for k in range(2)}
    found = build_study({"a": worse, "b": better}, replicates=list(worse))
    assert "+0.100 ±0.000" in study_report(found)
    single = build_study({"a": {"seed 0": worse["seed 0"]}}, replicates=["seed 0"])
    assert "Difference" not in study_report(single)


def test_orders_are_said_to_be_replicates(make_results: Make) -> None:
    key = "order b-a seed 0"
    study = build_study({"x": {key: make_results((0.5, 0.5))}}, replicates=[key])
    assert "- a replicate is an order of the stream with a seed" in study_report(study)


def test_machines_get_all_digits(study: Study) -> None:
    rows = list(csv.DictReader(io.StringIO(study_report(study, "csv"))))
    assert [row["config"] for row in rows] == ["naive", "replay", "joint"]
    for row, found in zip(rows, study["rows"], strict=True):
        for name, column in found["columns"].items():
            for end, part in (("", "mean"), ("_low", "low"), ("_high", "high")):
                cell = row[name + end]
                assert (float(cell) if cell else None) == column[part]


def test_an_unknown_style_is_refused(study: Study) -> None:
    with pytest.raises(ValueError, match="style must be one of text, markdown, .*got 'rtf'"):
        study_report(study, "rtf")  # type: ignore[arg-type]


def test_labels_stand_for_names(study: Study) -> None:
    study["labels"] = {"replay": "Replay_{200}"}
    for style, shown in (("text", "Replay_{200}"), ("latex", r"Replay\_\{200\}")):
        report = study_report(study, style)  # type: ignore[arg-type]
        assert f"Difference to {shown}, paired" in report
        assert f"config - {'Replay_{200}'}, within" in report  # LaTeX's notes are comments
        assert "\nnaive " in report or "\n naive " in report
    assert study_report(study, "csv").splitlines()[2].startswith("replay,")


def test_random_splits_give_medians(make_results: Make) -> None:
    finals = [0.5, 0.9, 0.8, 0.6, 0.7, 0.1]
    runs = {"x": {f"split {k}": make_results((v, v)) for k, v in enumerate(finals)}}
    study = build_study(runs, replicates=list(runs["x"]), splits=True)
    table = study_table(study)
    assert table.title == "Final SRCC over random splits, median [95 % interval]"
    assert table.header[:3] == ("", "splits", "mSRCC")
    assert table.rows[0][:3] == ("x", "6", "0.650 [0.100, 0.900]")
    report = study_report(study)
    assert "6 random splits of the data, each with a seed of its own" in report
    row = next(csv.DictReader(io.StringIO(study_report(study, "csv"))))
    assert float(row["msrcc_median"]) == pytest.approx(0.65)
    assert (row["msrcc_median_low"], row["msrcc_median_high"]) == ("0.1", "0.9")
    few = dict(list(runs["x"].items())[:3])
    study = build_study({"x": few}, replicates=list(few), splits=True)
    assert study_table(study).rows[0][2] == "0.800"


def test_one_data_set_has_no_column_of_forgetting(make_results: Make) -> None:
    run = make_results((0.7, 0.8))
    single = {**run, "datasets": ["a"], "experiences": ["a"]}
    single["summary"] = {"msrcc": 0.7, "mpi": 0.7, "forgetting": None, "bwt": None}
    study = build_study({"x": {"seed 0": single}}, replicates=["seed 0"])
    assert list(study["rows"][0]["columns"]) == ["msrcc"]
    assert study["notes"] == []
