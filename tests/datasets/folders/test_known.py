from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.folders.known import find_set, find_sets, readers, recognise, scenario_text
from cliqa.utils.errors import DatasetError

Layout = Callable[[str], Path]


def test_every_reader_recognises_its_own_layout(layout: Layout) -> None:
    kinds = set(readers())
    assert {"EVA", "KADID10k", "PIPAL", "FLIVE", "UHDIQA"} < kinds
    assert "ScoreFile" not in kinds
    found = {kind: find_set(layout(kind)) for kind in sorted(kinds)}
    assert {kind: one.section.get("type") for kind, one in found.items()} == {k: k for k in kinds}
    assert [one.mistakes for one in found.values() if one.mistakes] == []


def test_where_two_readers_fit_the_nearer_number_counts(tmp_path: Path, layout: Layout) -> None:
    root = layout("TID2008")
    assert recognise(root) == ["TID2008", "TID2013"]
    found = find_set(root)
    assert (found.section["type"], found.others) == ("TID2008", ("TID2013",))
    assert find_set(root, {"type": "TID2013"}).section["type"] == "TID2013"


def test_a_type_that_reads_no_scores_is_refused(layout: Layout, tmp_path: Path) -> None:
    (mistake,) = find_set(tmp_path, {"type": "builtins.dict"}).mistakes
    assert mistake == "type=builtins.dict: no reader of a folder with scores."


def test_a_damaged_set_is_named_with_its_mistakes(layout: Layout) -> None:
    root = layout("KADID10k")
    labels = root / "dmos.csv"
    labels.write_text(labels.read_text().replace("0.49", "-1", 1))
    found = find_set(root)
    assert found.data is None
    assert found.section == {"type": "KADID10k"}
    assert "row 2: the variance 'var' is -1" in found.mistakes[0]


def test_what_readers_warn_about_is_a_note(
    layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = find_set(layout("KonIQ10k without split"))
    assert "no official split" in found.notes[0]
    assert caplog.text == ""


def test_a_folder_of_data_sets_stands_for_them(layout: Layout) -> None:
    parent = layout("BID").parent
    layout("CSIQ")
    found = find_sets(parent)
    assert [one.root.name for one in found] == ["BID", "CSIQ"]
    lines = scenario_text(found).splitlines()
    assert lines[2] == f'        dict(type="BID", root="{parent / "BID"}"),'
    assert scenario_text([]) == ""


def test_a_file_of_ones_own_is_guessed(layout: Layout) -> None:
    found = find_set(layout("ScoreFile"))
    assert found.data is not None
    assert len(found.data) == 20
    assert found.section["labels"] == "scores.csv"
    assert found.section["score_range"] == (0.0, 10.0)
    assert found.notes[0].startswith("holds 1 .csv, pictures/")
    assert "columns: image = 'image', score = 'score', std = 'std'" in found.notes


def test_an_unknown_folder_says_what_it_holds_and_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "pristine_images").mkdir()
    (tmp_path / "readme.md").write_text("x")
    found = find_set(tmp_path)
    assert found.notes[0] == "holds 1 .md, pristine_images/"
    assert "looks like Waterloo Exploration" in found.notes[1]
    assert "pretrain.data.root=" in found.notes[1]
    assert "a column of image names and a column of scores" in found.mistakes[0]
    with pytest.raises(DatasetError, match="no such folder"):
        find_set(tmp_path / "nowhere")


def test_what_a_file_leaves_open_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,score\nx.jpg,1\ny.jpg,9\n")
    (tmp_path / "a").mkdir()
    found = find_set(tmp_path)
    assert found.data is None
    text = "\n".join(found.mistakes)
    assert "no label file of a known data set" in text
    assert "Add --option images=FOLDER" in text
    assert "cfg-options" not in text
    assert "scenario" not in text
