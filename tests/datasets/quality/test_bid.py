from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.quality.bid import BID


def test_numbers_name_the_images(layout: Callable[[str], Path]) -> None:
    root = layout("BID")
    table = BID.read_table(root / "DatabaseGrades.xlsx")
    assert table.images[:2] == ("DatabaseImage0001.JPG", "DatabaseImage0002.JPG")
    assert table.raw[:3].tolist() == [0.0, 0.25, 0.5]
    assert table.std is not None
    assert table.std[0] == 0.5
    assert BID(root).scores[2] == pytest.approx(0.1)
