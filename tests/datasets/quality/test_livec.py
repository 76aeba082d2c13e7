from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cliqa.datasets.quality.livec import LIVEC


def test_the_raters_practice_images_are_left_out(layout: Callable[[str], Path]) -> None:
    root = layout("LIVEC")
    table = LIVEC.read_table(root / "Data/AllMOS_release.mat")
    assert table.images == tuple(f"{k}.bmp" for k in range(12))
    np.testing.assert_array_equal(table.raw, np.arange(7.0, 19.0) * 5.0)
    assert table.std is not None
    np.testing.assert_allclose(table.std, table.raw / 10.0)
    assert table.rows[0] == 8
    assert len(LIVEC(root)) == 12
