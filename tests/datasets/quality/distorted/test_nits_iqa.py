from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl

from cliqa.datasets.quality.distorted.nits_iqa import DISTORTIONS, NITSIQA


def test_references_are_named_by_the_workbook(layout: Callable[[str], Path]) -> None:
    path = layout("NITSIQA") / "Database/Score.xlsx"
    table = NITSIQA.read_table(path)
    assert table.groups is not None
    assert table.groups[5] == "I2.bmp"
    assert {name: cells[3] for name, cells in table.attributes.items()} == {
        "reference": "I1.bmp",
        "distortion": "JPEG-XT",
        "level": "5",
    }
    assert len(DISTORTIONS) == 9


def test_other_names_have_no_distortion(layout: Callable[[str], Path]) -> None:
    path = layout("NITSIQA") / "Database/Score.xlsx"
    book = openpyxl.load_workbook(path)
    book.worksheets[0]["A2"] = "first"
    book.save(path)
    table = NITSIQA.read_table(path)
    assert table.images[0] == "first.bmp"
    assert set(table.attributes) == {"reference"}
