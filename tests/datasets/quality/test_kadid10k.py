from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.quality.kadid10k import KADID10k


def test_scores_references_and_deviations(layout: Callable[[str], Path]) -> None:
    root = layout("KADID10k")
    table = KADID10k.read_table(root / "dmos.csv")
    assert table.images[4] == "I02_02_01.png"
    assert table.groups is not None
    assert table.groups[4] == "I02.png"
    assert table.std is not None
    assert table.std[4] == pytest.approx(0.7)
    data = KADID10k(root)
    assert data.higher_is_better  # whatever the column is called
    assert data.scores[4] == pytest.approx((table.raw[4] - 1.0) / 4.0)
