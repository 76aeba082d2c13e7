from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.quality.photographs.uhd_iqa import UHDIQA
from cliqa.utils.errors import DatasetError


def test_the_official_split_names_the_folders(layout: Callable[[str], Path]) -> None:
    data = UHDIQA(layout("UHDIQA"))
    assert data.table.images[3:5] == ("validation/3.jpg", "test/4.jpg")
    assert data.splits[2:5] == ("train", "val", "test")
    assert not data.drawn


def test_images_may_lie_in_one_folder(layout: Callable[[str], Path]) -> None:
    root = layout("UHDIQA")
    (root / "images").mkdir()
    for path in [*root.glob("t*/*.jpg"), *root.glob("v*/*.jpg")]:
        shutil.move(path, root / "images")
    for part in ("training", "validation", "test"):
        (root / part).rmdir()
    data = UHDIQA(root, images="images")
    assert data.table.images[3] == "3.jpg"
    assert data.keys[3] == "uhdiqa/3.jpg"


def test_an_unknown_word_for_a_split_is_refused(layout: Callable[[str], Path]) -> None:
    path = layout("UHDIQA") / "uhd-iqa-metadata.csv"
    path.write_text(path.read_text().replace("validation", "exclusive"))
    with pytest.raises(DatasetError, match=r"row 5: unknown split 'exclusive'"):
        UHDIQA.read_table(path)
