from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.quality.agiqa3k import AGIQA3K, read_agiqa
from cliqa.utils.errors import ConfigError


def test_quality_or_alignment(layout: Callable[[str], Path]) -> None:
    root = layout("AGIQA3K")
    data, align = AGIQA3K(root), AGIQA3K(root, score="align")
    assert (data.raw_scores[14], align.raw_scores[14]) == (2.0, 1.75)
    assert data.std is not None
    assert align.std is not None
    assert (data.std[0], align.std[0]) == (0.25, 0.5)
    assert data.groups is not None
    assert data.groups[3] == "a cat, number 3"
    with pytest.raises(ConfigError, match="score must be 'quality' or 'align', got 'mos'"):
        AGIQA3K(root, score="mos")  # type: ignore[arg-type]


def test_images_may_lie_in_a_folder_of_their_own(layout: Callable[[str], Path]) -> None:
    root = layout("AGIQA3K")
    (root / "images").mkdir()
    for path in root.glob("*.jpg"):
        path.rename(root / "images" / path.name)
    assert AGIQA3K(root).paths[0].parent == root / "images"


def test_the_official_file(shared_data: Path) -> None:
    table = read_agiqa(shared_data / "labels/agiqa3k_data.csv")
    assert table.groups is not None
    assert (len(table), len(set(table.images)), len(set(table.groups))) == (2982, 2982, 300)
    assert (table.raw.min(), table.raw.max()) == pytest.approx((0.0, 4.489), abs=1e-3)
    align = read_agiqa(table.source, "align")
    assert (align.raw.min(), align.raw.max()) == pytest.approx((0.021, 4.286), abs=1e-3)


def test_the_official_file_names_six_generators(shared_data: Path) -> None:
    known = read_agiqa(shared_data / "labels/agiqa3k_data.csv").attributes
    assert sorted(known) == ["adj1", "adj2", "generator", "prompt", "style"]
    assert Counter(known["generator"]) == {
        **{"AttnGAN": 300, "DALLE2": 290, "glide": 300},
        **{"midjourney": 592, "sd1.5": 1200, "xl2.2": 300},
    }
    assert Counter(known["style"])[""] == 1587
