"""Tests of cliqa.evaluation.records.study_file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cliqa.evaluation.records.study_file import is_label_study, load_study
from cliqa.utils.errors import ArtifactError

COLUMN = {"values": {"0": 0.5}, "mean": 0.5, "low": None, "high": None}
STUDY: dict[str, Any] = {
    "measure": "srcc",
    "final": "msrcc",
    "replicates": ["0"],
    "notes": [],
    "rows": [{"config": "a", "runs": 1, "columns": {"msrcc": COLUMN}}],
}
LABELS: dict[str, Any] = {
    **{"measure": "srcc", "final": "msrcc", "baseline": "a", "other": "b"},
    "rows": [{"images": 10, "seeds": [0], "a": COLUMN, "b": COLUMN, "difference": COLUMN}],
}


def test_a_study_is_read_with_what_earlier_versions_left_out(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(json.dumps(STUDY))
    found = load_study(tmp_path)
    assert found["rows"] == STUDY["rows"]
    assert found["differences"] == []
    assert found["naive"] is None
    assert not is_label_study(found)
    (tmp_path / "label_study.json").write_text(json.dumps(LABELS))
    assert is_label_study(load_study(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measure": 3}, "'measure' is missing, or no str"),
        ({"rows": []}, "'rows' is empty"),
        ({"rows": [{"config": "a", "runs": 1, "columns": {}}]}, "row 0 lacks a part"),
        ({"rows": [{"config": "a", "columns": {"x": COLUMN}}]}, "row 0 lacks a part"),
        ({"rows": [*STUDY["rows"], 3]}, "row 1 lacks a part"),
        ({"rows": [{"config": "a", "runs": 1, "columns": {"x": {"mean": 1}}}]}, "row 0 lacks"),
    ],
)
def test_another_form_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(json.dumps({**STUDY, **change}))
    with pytest.raises(ArtifactError, match=rf"study\.json: {message}"):
        load_study(tmp_path)


def test_a_study_of_labels_needs_its_columns(tmp_path: Path) -> None:
    rows = [{**LABELS["rows"][0], "difference": None}]
    (tmp_path / "label_study.json").write_text(json.dumps({**LABELS, "rows": rows}))
    with pytest.raises(ArtifactError, match="row 0 lacks a part"):
        load_study(tmp_path)


@pytest.mark.parametrize("text", ["[]", "3", "{}"])
def test_what_is_no_object_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(ArtifactError, match="'measure' is missing"):
        load_study(tmp_path)
