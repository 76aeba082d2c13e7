from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cliqa.datasets.image_roots import placed_in
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.utils.errors import DatasetError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with a list of images that lie in two folders."""
    for k in range(6):
        file = tmp_path / f"part{k % 2}/x/{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (k, 0, 0)).save(file)
    rows = "\n".join(f"x/{k}.png,{k}" for k in range(6))
    (tmp_path / "all.csv").write_text(f"image,score\n{rows}\n")
    return tmp_path


def test_one_list_for_images_in_several_folders(root: Path) -> None:
    data = ScoreFile(root, "all.csv", (0, 5), True, images=["part0", str(root / "part1")])
    assert [Path(file).parent.parent.name for file in data.files] == ["part0", "part1"] * 3
    assert data.image(3)[0, 0, 0] == 3
    assert data.keys[3] == "all/3.png"


def test_a_missing_image_is_named_and_one_that_is_there_twice(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"3 of 6 images .* missing: x/1\.png \(row 3\)"):
        ScoreFile(root, "all.csv", (0, 5), True, images=["part0"])
    with pytest.raises(DatasetError, match=r"no image folder .*part2 .*Correct images="):
        ScoreFile(root, "all.csv", (0, 5), True, images=["part0", "part2"])
    Image.new("RGB", (8, 8)).save(root / "part1/x/0.png")
    table = ScoreTable(("x/0.png",), np.zeros(1), (2,), Path("all.csv"))
    message = r"all\.csv, row 2: image 'x/0\.png' is in the folders part0 and part1"
    with pytest.raises(DatasetError, match=message):
        placed_in(table, root, ["part0", "part1"], "mine")
