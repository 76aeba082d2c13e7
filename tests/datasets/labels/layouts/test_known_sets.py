from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cliqa.datasets.labels.layouts.known_sets import KnownSet
from cliqa.datasets.labels.table import ScoreTable
from cliqa.utils.errors import DatasetError


def table(*images: str, std: tuple[float, ...] | None = None) -> ScoreTable:
    return ScoreTable(
        images=images,
        raw=np.zeros(len(images)),
        rows=tuple(range(1, len(images) + 1)),
        source=Path("a.csv"),
        std=None if std is None else np.array(std),
    )


def test_names_tell_references_if_all_do() -> None:
    known = KnownSet("kadid", (1, 5), reference=r"(I\d+)_")
    assert known.applied(table("images/I01_02_03.png", "x\\i.png")).groups is None
    assert known.applied(table("images/I01_02_03.png", "x\\I02_1.png")).groups == ("I01", "I02")


def test_a_negative_variance_is_refused() -> None:
    known = KnownSet("kadid", (1, 5), spread="variance")
    with pytest.raises(DatasetError, match=r"a\.csv, row 2: the variance is -1; .*at least 0"):
        known.applied(table("a.png", "b.png", std=(0.25, -1)))
