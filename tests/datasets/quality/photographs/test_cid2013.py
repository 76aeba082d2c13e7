from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from cliqa.datasets.quality.photographs.cid2013 import CID2013
from cliqa.utils.errors import DatasetError


def test_names_tell_folders_scenes_and_sets(layout: Callable[[str], Path]) -> None:
    data = CID2013(layout("CID2013"))
    assert data.table.images[16] == "IS6/co1/IS_VI_C01_D01.jpg"
    assert data.raw_scores[:2].tolist() == [-9.5, -6.5]  # realigned, not those of the image set
    assert data.groups is not None
    assert {data.groups[0], data.groups[16]} == {"C01"}  # one scene in both image sets
    assert data.table.attributes["image_set"][16] == "IS6"


def test_other_names_and_sheets_are_refused(layout: Callable[[str], Path]) -> None:
    path = layout("CID2013") / CID2013.label_files[0]
    book = openpyxl.load_workbook(path)
    book["CID2013 MOS"]["A3"] = "IS_IX_C01_D02"
    book.save(path)
    with pytest.raises(DatasetError, match=r"row 3: Source_ID 'IS_IX_C01_D02' is not set, scene"):
        CID2013.read_table(path)
    book["CID2013 MOS"].title = "MOS"
    book.save(path)
    with pytest.raises(DatasetError, match=r"no sheet 'CID2013 MOS'; it has Sheet, MOS"):
        CID2013.read_table(path)
