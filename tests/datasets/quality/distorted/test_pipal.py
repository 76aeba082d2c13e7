from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.quality.distorted.pipal import CLASSES, PIPAL
from cliqa.utils.errors import DatasetError

Layout = Callable[[str], Path]


def test_all_files_of_the_folder_are_read(layout: Layout) -> None:
    data = PIPAL(layout("PIPAL"))
    assert (len(data), len(set(data.groups or ()))) == (40, 10)
    assert data.table.attributes["distortion"][1:3] == (CLASSES[0], CLASSES[6])
    assert data.table.where(5).endswith("A0001.txt, row 2")


def test_published_folders_are_found(layout: Layout) -> None:
    root = layout("PIPAL")
    (root / "Distortion_2").mkdir()
    for path in (root / "Dist_Imgs").glob("A0003_*"):
        path.rename(root / "Distortion_2" / path.name)
    (root / "Dist_Imgs").rename(root / "Distortion_1")
    data = PIPAL(root)
    assert data.table.images[11:13] == (
        "Distortion_1/A0002_06_01.bmp",
        "Distortion_2/A0003_00_00.bmp",
    )


def test_one_file_is_read_too(layout: Layout, tmp_path: Path) -> None:
    root = layout("PIPAL")
    (root / "val_label.txt").write_text("A0001_00_00.bmp,1400.5\nA0002_00_01.bmp,1500\n")
    data = PIPAL(root, labels="val_label.txt", fractions=(0, 0, 1))
    assert data.raw_scores.tolist() == [1400.5, 1500.0]
    with pytest.raises(DatasetError, match=r"no \.txt file in this folder"):
        PIPAL(root, labels=str(tmp_path))
