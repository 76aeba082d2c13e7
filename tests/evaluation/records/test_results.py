"""Reading results.json: the round trip, and files that lack something."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cliqa.evaluation.records.build_results import build_results
from cliqa.evaluation.records.results import check_results, load_results, main_measure, row_labels
from cliqa.utils.errors import ArtifactError
from cliqa.utils.io import write_json


def built() -> dict[str, Any]:
    """Results of two experiences."""
    rows = [
        {
            "experience": t,
            "dataset": name,
            "plcc": 0.6,
            "srcc": 0.5,
            "interval": {"srcc": (0.4, 0.6)},
        }
        for t in range(2)
        for name in ("eva", "ava", "koniq")
    ]
    return build_results(
        rows,
        experiences=["eva", "ava"],
        datasets=["eva", "ava", "koniq"],
        status="finished",
        seed=0,
        config="config/x.py",
    )


def test_round_trip_by_folder_and_by_file(tmp_path: Path) -> None:
    results = built()
    write_json(tmp_path / "results.json", results)
    assert load_results(tmp_path) == results
    assert load_results(str(tmp_path / "results.json")) == results


def test_optional_parts_get_empty_values() -> None:
    needed = {"status", "experiences", "datasets", "matrix", "summary"}
    results = check_results({k: v for k, v in built().items() if k in needed}, "here")
    assert results["interval"] == {}
    assert results["warnings"] == []
    assert results["joint"] is False


def test_main_measure_and_labels() -> None:
    results = built()
    assert main_measure(results) == "srcc"
    assert main_measure({"matrix": {"mae": [], "accuracy": []}}) == "accuracy"
    assert main_measure({"matrix": {"mae": [], "rmse": []}}) == "mae"
    assert row_labels(results) == ["after eva", "after ava"]
    assert row_labels({**results, "joint": True}) == ["after joint training"]
    results["matrix"] = {"srcc": [[0.5] * 3]}
    assert row_labels(results) == ["after eva"]  # the second one is still to come


def test_missing_file_says_what_a_work_dir_is(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nothing/results\.json: missing.*is this a work_dir"):
        load_results(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["", '{"status": "fin', "\x00"])
def test_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"results\.json: cannot be read as JSON"):
        load_results(tmp_path)


def broken(*path: str | int, value: Any = None) -> dict[str, Any]:
    """Results in which one entry is replaced; without a value it is removed."""
    results = json.loads(json.dumps(built()))
    place = results
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return results


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "here: expected an object, got list"),
        (broken("matrix"), "here: 'matrix' is missing"),
        (broken("datasets"), "here: 'datasets' is missing"),
        (broken("experiences", 0, value=7), "here: 'experiences' should hold names"),
        (broken("summary", value=[1]), "here: 'summary' should be a dict"),
        (broken("matrix", "srcc", 1, 0), r"matrix\.srcc, row 1: 2 entries for 3 data sets"),
        (broken("matrix", "srcc", 0, value=7), r"matrix\.srcc, row 0: no entries for 3"),
        (broken("matrix", "plcc", value=7), r"matrix\.plcc should be a list of rows"),
        (broken("matrix", "plcc", 1), r"the matrices have \[1, 2\] rows for 2 experiences"),
        (broken("interval", "srcc", 0, 0), r"interval\.srcc, row 0: 2 entries for 3"),
        (
            broken("matrix", "srcc", 0, 1, value="x"),
            r"matrix\.srcc, row 0, column 1: 'x' is no score",
        ),
        (broken("interval", "srcc", 0, 1, value=[1]), r"column 1: \[1\] is no score"),
        (broken("experiences", value=["eva"]), r"have \[2\] rows for 1 experiences"),
        (broken("joint", value=True), r"have \[2\] rows for 1 experiences"),
        ({**built(), "matrix": {}}, "here: 'matrix' holds no measure"),
    ],
)
def test_says_what_is_missing(content: Any, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        check_results(content, "here")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "results.json")
    with pytest.raises(ArtifactError, match="it is no regular file"):
        load_results(tmp_path)


def test_depth_and_size_are_told(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ArtifactError, match="cannot be read as JSON"):
        load_results(tmp_path)
    with path.open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(ArtifactError, match="it has 1048576 MiB, at most 256"):
        load_results(tmp_path)
