from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.quality.photographs.flive import FLIVE
from cliqa.utils.errors import ConfigError

Layout = Callable[[str], Path]


def test_the_official_split_is_read_from_two_files(layout: Layout) -> None:
    root = layout("FLIVE")
    data = FLIVE(root)
    assert data.splits == ("test",) * 4 + ("val",) * 3 + ("train",) * 13
    assert len(FLIVE(root / "database")) == 20  # the folder itself


def test_patches_are_in_the_split_of_their_picture(layout: Layout) -> None:
    root = layout("FLIVE")
    data = FLIVE(root, part="patches")
    assert Counter(data.splits) == {"test": 12, "val": 9, "train": 39}
    assert data.groups is not None
    assert data.groups[:4] == ("p00.jpg",) * 3 + ("p01.jpg",)
    assert data.official_count is None


def test_a_missing_split_is_drawn_by_picture(
    layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    root = layout("FLIVE")
    (root / "database/labels=640_padded.csv").unlink()
    with caplog.at_level(logging.WARNING):
        data = FLIVE(root, part="patches")
    assert "no labels=640_padded.csv beside" in caplog.text
    assert data.drawn
    assert len(set(zip(data.groups or (), data.splits, strict=True))) == 20


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ConfigError, match="part must be 'images' or 'patches', got 'all'"):
        FLIVE("nowhere", part="all")  # type: ignore[arg-type]
