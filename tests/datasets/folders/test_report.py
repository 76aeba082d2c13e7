from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.folders.known import find_set
from cliqa.datasets.folders.report import Report, describe
from cliqa.datasets.folders.shared import shared_lines
from cliqa.datasets.folders.text import HEADER, summary_rows, text_lines
from cliqa.utils.io import to_json

Layout = Callable[[str], Path]


def check(root: Path, whole: bool = False) -> Report:
    return describe(find_set(root), whole)


def test_a_whole_set_has_no_problem(layout: Layout) -> None:
    report = check(layout("KADID10k"))
    assert (report.kind, report.rated, report.official) == ("KADID10k", 30, 10125)
    assert not report.problems
    assert (report.groups, report.drawn, report.std) == (10, True, True)
    assert report.splits == {"train": 24, "val": 3, "test": 3}
    assert report.sizes == {"8 x 6": 30}
    scores = report.scores
    assert scores is not None
    assert (scores.least, scores.most, scores.declared) == (1.0, 4.56, (1.0, 5.0))
    # nine scores, 1 + k / 2.25 to two digits: k = 0..2 four times, k = 3..8 three times
    assert (scores.distinct, scores.tied) == (9, 30)
    assert (sum(scores.histogram), scores.histogram[0]) == (30, 4)
    assert scores.higher_is_better


def test_missing_left_over_and_unreadable_images_are_named(layout: Layout) -> None:
    root = layout("KADID10k")
    folder = root / "images"
    (folder / "I01_01_01.png").unlink()
    shutil.copy(folder / "I01_02_01.png", folder / "more.png")
    (folder / "I02_01_01.png").write_bytes(b"no image")
    report = check(root)
    assert report.missing == ["I01_01_01.png"]
    assert report.extra == ["more.png"]
    assert len(report.unreadable) == 1
    assert "I02_01_01.png" in report.unreadable[0]
    assert report.problems
    assert 'missing="skip"' in report.config
    text = "\n".join(text_lines(report))
    assert "missing    1: I01_01_01.png" in text
    assert "extra      1: more.png" in text


def test_damage_in_the_middle_is_found_by_decoding_all(layout: Layout) -> None:
    root = layout("UHDIQA")
    path = root / "training/0.jpg"
    data = bytearray(path.read_bytes())
    data[150:-2] = bytes(len(data) - 152)
    path.write_bytes(data)
    assert check(root, whole=True).unreadable != []


def test_equal_files_are_a_group_and_a_leak_across_splits(layout: Layout) -> None:
    root = layout("UHDIQA")
    for name in ("training/1.jpg", "test/4.jpg"):
        shutil.copy(root / "training/0.jpg", root / name)
    report = check(root)
    assert report.copies == [["training/0.jpg", "training/1.jpg", "test/4.jpg"]]
    assert (report.leaks, report.problems) == (1, True)
    assert "1 groups are in several splits" in "\n".join(text_lines(report))


def test_a_report_is_json(layout: Layout) -> None:
    report = check(layout("CSIQ"))
    value = json.loads(to_json(report.to_dict()))
    assert (value["kind"], value["problems"]) == ("CSIQ", False)
    assert value["scores"]["higher_is_better"] is False
    assert len(value["scores"]["histogram"]) == 10


def test_folders_are_rows_of_a_table(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    rows = summary_rows([check(layout("BID")), check(tmp_path / "none")])
    assert rows[0] == ("BID", "BID", "12", "0", "0", "0", "0", "0..2.75 higher")
    assert rows[1] == ("none", "unknown", *["-"] * (len(HEADER) - 2))


def test_images_that_two_folders_hold_are_counted(layout: Layout) -> None:
    sets = [find_set(layout(kind)) for kind in ("TID2008", "TID2013")]
    (line,) = shared_lines(sets)
    assert line.startswith("TID2008 and TID2013 share 20 images: I01_01_4.bmp")
    assert shared_lines(sets[:1]) == []


@pytest.mark.parametrize("kind", ["LIVE"])
def test_references_in_the_folder_are_left_over_not_missing(kind: str, layout: Layout) -> None:
    root = layout(kind)
    (root / "refimgs").mkdir()
    shutil.copy(root / "jp2k/img1.bmp", root / "refimgs/a.bmp")
    report = check(root)
    assert report.extra == ["refimgs/a.bmp"]
    assert not report.missing
