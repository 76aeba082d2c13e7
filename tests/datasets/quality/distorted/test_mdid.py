from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.quality.distorted.mdid import MDID
from cliqa.utils.errors import DatasetError


def test_scores_are_in_the_order_of_the_names(layout: Callable[[str], Path]) -> None:
    path = layout("MDID") / "mos.txt"
    table = MDID.read_table(path)
    assert [table.images[k] for k in (0, 79, 80, 1599)] == [
        *("img01_01.bmp", "img01_80.bmp", "img02_01.bmp", "img20_80.bmp")
    ]
    assert table.raw[81] == pytest.approx(81 / 200)
    assert table.groups is not None
    assert table.groups[80] == "img02"
    path.write_text("1.5\n2.5\n")
    with pytest.raises(DatasetError, match=r"mos\.txt: 2 scores, expected 1600"):
        MDID.read_table(path)
