from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl

from cliqa.datasets.quality.generated.agiqa1k import AGIQA1K


def test_prompts_and_names_tell_the_attributes(layout: Callable[[str], Path]) -> None:
    data = AGIQA1K(layout("AGIQA1K"))
    known = data.table.attributes
    assert {name: cells[11] for name, cells in known.items()} == {
        "generator": "dreamStudio",
        "prompt": "bird, driving car, wild, style 1",
        "object": "bird",
        "action": "driving car",
        "place": "wild",
        "style": "style 1",
    }
    assert data.groups == known["prompt"]


def test_the_image_that_the_release_names_twice_is_left_out(
    layout: Callable[[str], Path],
) -> None:
    root, image = layout("AGIQA1K"), "dreamStudio_8_9_1_1.jpg"
    path = root / "AIGC_MOS_Zscore.xlsx"
    book = openpyxl.load_workbook(path)
    for score in (0.44, 2.08):
        book.worksheets[0].append([image, "alien, wearing shirt, wild, realistic style", score])
    book.save(path)
    table = AGIQA1K.read_table(path)
    assert len(table) == 20
    assert image not in table.images
    assert len(AGIQA1K(root)) == 20
