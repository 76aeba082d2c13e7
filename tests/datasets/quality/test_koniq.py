from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cliqa.datasets.quality.koniq import KonIQ10k, read_koniq
from cliqa.utils.errors import ConfigError, DatasetError

Layout = Callable[[str], Path]


def test_the_official_split_and_both_scores(layout: Layout) -> None:
    data = KonIQ10k(layout("KonIQ10k"))
    assert [data.splits.count(split) for split in ("train", "val", "test")] == [12, 4, 4]
    assert data.raw_scores[2] == 11.0
    assert data.scores[2] == pytest.approx(0.11)
    assert data.std is not None
    assert data.std[0] == pytest.approx(12.5)  # 0.5 of 1..5
    ratings = KonIQ10k(data.root, score="distribution")
    np.testing.assert_allclose(ratings.raw_scores[:2], [1.75, 3.625])
    assert ratings.score_range == (1.0, 5.0)
    assert ratings.std is not None
    assert ratings.std[0] == 0.5
    assert ratings.table.ratings == (1, 2, 3, 4, 5)
    assert data.table.ratings == (0, 25, 50, 75, 100)  # in the units of the MOS
    assert data.table.shares is not None
    assert ratings.table.shares is not None
    np.testing.assert_allclose(data.table.shares.sum(1), 1)
    np.testing.assert_allclose(ratings.table.shares @ np.arange(1, 6), ratings.raw_scores)


def test_the_file_without_a_split_gets_a_seeded_one_and_a_warning(
    layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        data = KonIQ10k(layout("KonIQ10k without split"))
    assert "no column 'set', hence no official split" in caplog.text
    assert [data.splits.count(split) for split in ("train", "val", "test")] == [16, 2, 2]
    np.testing.assert_allclose(data.raw_scores, KonIQ10k(layout("KonIQ10k")).raw_scores)
    assert "512x384" in data.files[0]
    counts = KonIQ10k(data.root, score="distribution")
    np.testing.assert_allclose(counts.raw_scores[:2], [1.75, 3.625])


def test_the_larger_images_are_preferred(layout: Layout) -> None:
    root = layout("KonIQ10k")
    assert "1024x768" in KonIQ10k(root).files[0]
    (root / "512x384").mkdir()
    for path in (root / "1024x768").iterdir():
        (root / "512x384" / path.name).write_bytes(path.read_bytes())
    assert "1024x768" in KonIQ10k(root).files[0]
    assert "512x384" in KonIQ10k(root, images="512x384").files[0]


def test_ratings_are_not_taken_for_the_mos(layout: Layout) -> None:
    path = layout("KonIQ10k without split") / "koniq10k_scores_and_distributions.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    with pytest.raises(DatasetError, match=r"holds means of the ratings 1\.\.5.*'distribution'"):
        KonIQ10k(path.parent)
    assert KonIQ10k(path.parent, score="distribution").raw_scores[0] == 1.75


def test_a_mos_of_1_to_5_is_doubted_and_the_advice_works(layout: Layout) -> None:
    path = layout("KonIQ10k") / "koniq10k_distributions_sets.csv"
    rows = [
        f"{k}.jpg,{2 + k / 10},0.5,{('training', 'validation', 'test')[k % 3]}" for k in range(20)
    ]
    path.write_text("\n".join(["image_name,MOS,SD,set", *rows]))
    (doubt,) = KonIQ10k(path.parent).score_warnings
    assert "2..3.9, 1.9% of the declared range 0..100" in doubt
    assert "Set score_range=(1, 5)" in doubt
    data = KonIQ10k(path.parent, score_range=(1, 5))
    assert data.score_warnings == ()
    assert data.std is not None
    assert data.std[0] == 0.5  # in the units of the ratings, as the scores are


def test_an_unknown_score_is_refused(layout: Layout) -> None:
    with pytest.raises(ConfigError, match="score must be 'mos' or 'distribution', got 'z'"):
        KonIQ10k(layout("KonIQ10k"), score="z")  # type: ignore[arg-type]


def test_the_official_file(shared_data: Path) -> None:
    table = read_koniq(shared_data / "labels/koniq10k_distributions_sets.csv")
    assert table.splits is not None
    counts = [table.splits.count(split) for split in ("train", "val", "test")]
    assert counts == [7058, 1000, 2015]
    assert (table.raw.min(), table.raw.max()) == pytest.approx((3.91, 88.39), abs=0.01)
    ratings = read_koniq(table.source, score="distribution")
    assert (ratings.raw.min(), ratings.raw.max()) == pytest.approx((1.096, 4.31), abs=0.001)
    assert np.corrcoef(table.raw, ratings.raw)[0, 1] == pytest.approx(0.995, abs=5e-4)
