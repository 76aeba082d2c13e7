from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cliqa.datasets.quality.spaq import SPAQ


def test_names_and_scores_of_the_workbook(layout: Callable[[str], Path]) -> None:
    root = layout("SPAQ")
    table = SPAQ.read_table(root / SPAQ.label_files[0])
    assert table.images[:2] == ("00000.jpg", "00001.jpg")
    assert table.raw[:3].tolist() == [0.25, 5.25, 10.25]
    assert table.rows[0] == 2
    assert SPAQ(root).keys[1] == "spaq/00001.jpg"
