from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.quality.distorted.kadis700k import KADIS700k
from cliqa.utils.errors import DatasetError


def test_a_photograph_is_better_than_its_versions(layout: Callable[[str], Path]) -> None:
    data = KADIS700k(layout("KADIS700k"))
    assert data.table.images[:2] == ("ref_imgs/photo-0.png", "dist_imgs/photo-0_01_01.bmp")
    assert data.raw_scores[:6].tolist() == [0, 1, 2, 3, 4, 5]
    assert data.scores[:6].tolist() == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0])
    assert data.groups is not None
    assert set(data.groups[:6]) == {"photo-0.png"}
    assert data.table.attributes["distortion"][1] == "gaussian blur"


def test_types_without_an_order_have_no_versions(layout: Callable[[str], Path]) -> None:
    table = KADIS700k.read_table(layout("KADIS700k") / "kadis700k_ref_imgs.csv")
    kinds = table.attributes["distortion"]
    assert [kinds.count(kind) for kind in ("mean shift", "contrast change", "jpeg2000")] == [
        1,
        1,
        6,
    ]


def test_an_unknown_type_is_refused(layout: Callable[[str], Path]) -> None:
    path = layout("KADIS700k") / "kadis700k_ref_imgs.csv"
    path.write_text(path.read_text().replace("photo-2.png,9,", "photo-2.png,26,"))
    with pytest.raises(DatasetError, match=r"row 4: dist_type_1 is 26, not 1\.\.25"):
        KADIS700k.read_table(path)
