"""Tests of the raters and of the official label files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cliqa.demo_data.ratings import (
    LabelWriter,
    RatedImage,
    count_ratings,
    opinions,
    write_ava_labels,
    write_eva_labels,
    write_koniq_labels,
)

QUALITY = np.linspace(0.0, 1.0, 120)
SPLITS = ("train", "val", "test")
IMAGES = [RatedImage(f"{100 + k}.jpg", SPLITS[k % 3], q) for k, q in enumerate(QUALITY)]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def eva_votes(folder: Path) -> dict[str, list[list[str]]]:
    """Return the rows of each image."""
    lines = (folder / "data" / "votes_filtered.csv").read_text().splitlines()
    rows: dict[str, list[list[str]]] = {}
    for line in lines[1:]:
        cells = line.split("=")
        rows.setdefault(cells[0], []).append(cells)
    return rows


def test_eva_has_thirty_to_46_votes_of_as_many_users(tmp_path: Path) -> None:
    write_eva_labels(tmp_path, IMAGES, rng())
    rows = eva_votes(tmp_path)
    assert list(rows) == [image.stem for image in IMAGES]
    for votes in rows.values():
        assert 30 <= len(votes) <= 46
        assert len({vote[1] for vote in votes}) == len(votes)
        table = np.array([list(map(int, [*vote[2:8], *vote[9:]])) for vote in votes])
        assert table.shape[1] == 10
        assert table[:, 0].min() >= 0
        assert table[:, 0].max() <= 10
        assert set(np.unique(table[:, 1:6])) <= {1, 2, 3, 4}
        assert set(np.unique(table[:, 6:])) <= {0, 1}
        assert all(float(vote[8]) > 0 for vote in votes)


def test_eva_lists_its_images_with_a_byte_order_mark(tmp_path: Path) -> None:
    write_eva_labels(tmp_path, IMAGES[:2], rng())
    content = (tmp_path / "data" / "image_content_category.csv").read_bytes()
    assert content == b'\xef\xbb\xbf"image_id","sort"\n"100","2"\n"101","2"\n'


def test_ava_counts_ratings_and_lists_the_test_images(tmp_path: Path) -> None:
    write_ava_labels(tmp_path, IMAGES, rng())
    table = np.loadtxt(tmp_path / "AVA.txt", dtype=int)
    assert table.shape == (len(IMAGES), 15)
    assert table[:, 0].tolist() == list(range(1, len(IMAGES) + 1))
    assert table[:, 1].tolist() == [int(image.stem) for image in IMAGES]
    totals = table[:, 2:12].sum(axis=1)
    assert totals.min() >= 78
    assert totals.max() <= 549
    listed = (tmp_path / "aesthetics_image_lists" / "generic_test.jpgl").read_text()
    assert listed.split() == [image.stem for image in IMAGES if image.split == "test"]


def test_koniq_gives_shares_mos_and_spread_that_belong_together(tmp_path: Path) -> None:
    write_koniq_labels(tmp_path, IMAGES, rng())
    path = tmp_path / "koniq10k_distributions_sets.csv"
    assert path.read_text().startswith("image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set\n")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    sets = {"train": "training", "val": "validation", "test": "test"}
    assert [row["set"] for row in rows] == [sets[image.split] for image in IMAGES]
    for row in rows:
        shares = np.array([float(row[f"c{k}"]) for k in range(1, 6)])
        total = int(row["c_total"])
        assert 93 <= total <= 157
        assert shares.sum() == pytest.approx(1.0, abs=1e-9)
        counts = np.rint(shares * total).astype(int)
        assert shares * total == pytest.approx(counts, abs=1e-8)
        ratings = np.repeat(np.arange(1, 6), counts)
        assert float(row["MOS"]) == pytest.approx(25 * (ratings.mean() - 1), abs=1e-8)
        assert float(row["SD"]) == pytest.approx(ratings.std(ddof=1), abs=1e-8)


@pytest.mark.parametrize("write", [write_eva_labels, write_ava_labels, write_koniq_labels])
def test_scores_follow_the_quality_and_the_seed(write: LabelWriter, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        write(tmp_path / name, IMAGES, np.random.default_rng(seed))

    def scores(name: str) -> np.ndarray:
        folder = tmp_path / name
        if write is write_eva_labels:
            return np.array(
                [np.mean([int(v[2]) for v in rows]) for rows in eva_votes(folder).values()]
            )
        if write is write_ava_labels:
            counts = np.loadtxt(folder / "AVA.txt", dtype=int)[:, 2:12]
            return counts @ np.arange(1, 11) / counts.sum(axis=1)
        with (folder / "koniq10k_distributions_sets.csv").open() as file:
            return np.array([float(row["MOS"]) for row in csv.DictReader(file)])

    assert stats.spearmanr(scores("one"), QUALITY).statistic > 0.98
    assert np.array_equal(scores("one"), scores("same"))
    assert not np.array_equal(scores("one"), scores("other"))


def test_opinions_lie_on_the_line_but_for_taste() -> None:
    found = opinions(IMAGES * 50, 2.0, 8.0, rng())
    off = found - np.tile(2.0 + 6.0 * QUALITY, 50)
    assert off.std() == pytest.approx(0.025 * 6.0, rel=0.05)
    assert off.mean() == pytest.approx(0.0, abs=0.01)


def test_counts_follow_the_normal_density() -> None:
    counts = count_ratings(np.array([3.0, 4.5]), 1.0, np.array([10**6, 7]), 1, 5, rng())
    assert counts.sum(axis=1).tolist() == [10**6, 7]
    density = np.exp(-0.5 * (np.arange(1, 6) - 3.0) ** 2)
    assert counts[0] / 10**6 == pytest.approx(density / density.sum(), abs=2e-3)
