from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cliqa.datasets.quality.live import LIVE


def test_hidden_references_are_left_out(layout: Callable[[str], Path]) -> None:
    root = layout("LIVE")
    table = LIVE.read_table(root / "dmos_realigned.mat")
    assert len(table) == 982 - 98
    assert table.groups is not None
    assert len(set(table.groups)) == 29
    assert "jp2k/img10.bmp" not in table.images
    place = table.images.index("jpeg/img1.bmp")  # MATLAB's index 228
    assert table.rows[place] == 228
    assert table.raw[place] == pytest.approx(np.linspace(-2.5, 111.5, 982)[227])
    assert table.groups[place] == f"ref{227 % 29}.bmp"
    assert table.std is not None
    assert table.std[place] == 2.0


def test_equal_names_of_different_folders_are_different_images(
    layout: Callable[[str], Path],
) -> None:
    data = LIVE(layout("LIVE"))
    assert {"live/jp2k/img1.bmp", "live/wn/img1.bmp"} <= set(data.keys)
    assert data.scores[0] > data.scores[-1]  # the DMOS rises


def test_folders_are_the_distortions(layout: Callable[[str], Path]) -> None:
    data = LIVE(layout("LIVE"))
    known = data.table.attributes
    assert known["distortion"] == tuple(path.parent.name for path in data.paths)
    assert known["reference"] == data.groups
