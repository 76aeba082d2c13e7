"""The generated data sets: official layouts, honest labels, splits without leaks."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from cliqa.benchmarks.overlap import without_overlap
from cliqa.datasets.base import QualityDataset
from cliqa.datasets.quality.ava import AVA
from cliqa.datasets.quality.eva import EVA
from cliqa.datasets.quality.koniq import KonIQ10k
from cliqa.demo_data.demo_data import DemoData
from cliqa.utils.errors import ConfigError, DatasetError

COUNTS: dict[str, Any] = {"train": 40, "val": 10, "test": 20}
SMALL = DemoData(**COUNTS, size=48)


def read(root: Path) -> list[QualityDataset]:
    """Return the three data sets through the loaders of the official layouts."""
    total = sum(COUNTS.values())
    fractions = tuple(count / total for count in COUNTS.values())
    return [
        EVA(root / "eva", fractions=fractions),
        AVA(root / "ava", val_fraction=COUNTS["val"] / (COUNTS["train"] + COUNTS["val"])),
        KonIQ10k(root / "koniq"),
    ]


def truth(root: Path) -> dict[str, list[dict[str, str]]]:
    """Return what was done to the images, by data set."""
    rows = defaultdict(list)
    with (root / "degradations.csv").open() as file:
        for row in csv.DictReader(file):
            rows[row["dataset"]].append(row)
    return rows


def digest(root: Path) -> str:
    """Return a digest of all files below a folder."""
    found = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        found.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return found.hexdigest()


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("painted") / "demo"
    SMALL.write(root)
    return root


@pytest.fixture(scope="module")
def some_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated twin of a folder of photographs."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for k in range(12):
        blocks = random.integers(0, 255, (12, 18, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((180, 120), Image.Resampling.NEAREST).save(
            folder / f"p{k:02d}.png"
        )
    return folder


@pytest.fixture(scope="module")
def photographed(some_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photographed") / "demo"
    DemoData(**COUNTS, size=48, photos=str(some_photos)).write(root)
    return root


@pytest.mark.parametrize("made", ["painted", "photographed"])
def test_the_official_loaders_read_the_promised_splits(
    made: str, request: pytest.FixtureRequest
) -> None:
    root = request.getfixturevalue(made)
    planned = {name: {r["image"]: r["split"] for r in rows} for name, rows in truth(root).items()}
    for data in read(root):
        assert Counter(data.splits) == COUNTS
        for path, split in zip(data.paths, data.splits, strict=True):
            assert planned[data.name][path.name] == split
        assert data.image(0).shape == (3, 48, 48)
        assert np.ptp(data.scores) > 0.2


def test_the_official_columns(painted: Path) -> None:
    votes = (painted / "eva" / "data" / "votes_filtered.csv").read_text().splitlines()
    assert votes[0] == (
        "image_id=user_id=score=difficulty=visual=composition=quality=semantic=vote_time=1=2=3=4"
    )
    assert {int(line.split("=")[2]) for line in votes[1:]} <= set(range(11))
    ratings = [line.split() for line in (painted / "ava" / "AVA.txt").read_text().splitlines()]
    assert {len(row) for row in ratings} == {15}
    assert len({row[1] for row in ratings}) == sum(COUNTS.values())
    with (painted / "koniq" / "koniq10k_distributions_sets.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        shares = [float(row[f"c{k}"]) for k in range(1, 6)]
        assert sum(shares) == pytest.approx(1, abs=1e-6)
        assert 0 <= float(row["MOS"]) <= 100
    assert {row["set"] for row in rows} == {"training", "validation", "test"}


def test_labels_fall_with_the_severity(painted: Path) -> None:
    for data in read(painted):
        rows = {row["image"]: row for row in truth(painted)[data.name]}
        by_kind = defaultdict(list)
        for path, score in zip(data.paths, data.scores, strict=True):
            row = rows[path.name]
            by_kind[row["distortion"]].append(
                (float(row["severity"]), float(row["quality"]), float(score))
            )
        everything = np.array([pair for pairs in by_kind.values() for pair in pairs])
        assert stats.spearmanr(everything[:, 1], everything[:, 2]).statistic > 0.85
        for pairs in by_kind.values():
            severity, quality, _ = np.array(sorted(pairs)).T
            assert (np.diff(quality) <= 1e-6).all()
            assert severity.min() >= 0
            assert severity.max() <= 1


def test_photographs_are_parted(photographed: Path) -> None:
    places = defaultdict(set)
    for name, rows in truth(photographed).items():
        for row in rows:
            places[row["source"]].add((name, row["split"]))
    assert all(len(found) == 1 for found in places.values())
    assert len(places) >= 9


def test_real_photographs(shared_data: Path, tmp_path: Path) -> None:
    DemoData(train=20, val=5, test=10, size=64, photos=str(shared_data / "photos")).write(tmp_path)
    rows = [row for part in truth(tmp_path).values() for row in part]
    quality = np.array([float(row["quality"]) for row in rows])
    severity = np.array([float(row["severity"]) for row in rows])
    assert stats.spearmanr(severity, quality).statistic < -0.6


def test_no_image_stands_twice(painted: Path) -> None:
    data = read(painted)
    splits = {(d.name, kind): d.subset(kind) for d in data for kind in ("train", "val", "test")}
    assert without_overlap(splits, "remove")[1] == []


def test_overlap_is_found_by_the_stream(tmp_path: Path) -> None:
    DemoData(**COUNTS, size=32, overlap=15).write(tmp_path)
    data = read(tmp_path)
    splits = {(d.name, kind): d.subset(kind) for d in data for kind in ("train", "val", "test")}
    assert sum(o.images for o in without_overlap(splits, "remove")[1]) == 15


def test_the_seed_decides_and_nothing_else(painted: Path, tmp_path: Path) -> None:
    SMALL.write(tmp_path / "again")
    DemoData(**COUNTS, size=48, seed=1).write(tmp_path / "other")
    assert digest(tmp_path / "again") == digest(painted)
    assert digest(tmp_path / "other") != digest(painted)


def test_writing_again_changes_nothing(painted: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in painted.rglob("*")}
    SMALL.write(painted)
    assert before == {path: path.stat().st_mtime_ns for path in painted.rglob("*")}


def test_other_arguments_into_the_same_folder_are_refused(painted: Path) -> None:
    with pytest.raises(DatasetError, match=str(painted)):
        DemoData(**COUNTS, size=48, seed=5).write(painted)


def test_a_folder_with_other_things_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match=str(tmp_path)):
        SMALL.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": 0}, "train must be a whole number >= 1, got 0"),
        ({"size": 8}, "size must be a whole number >= 32, got 8"),
        ({"seed": 1.5}, "seed must be a whole number >= 0, got 1.5"),
        ({"overlap": 10**6}, "overlap=1000000 is more than the 750 images"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DemoData(**arguments)


def test_photo_folders_are_checked(tmp_path: Path, some_photos: Path) -> None:
    def write(folder: Path) -> None:
        DemoData(**COUNTS, size=48, photos=str(folder)).write(tmp_path / "out")

    with pytest.raises(DatasetError, match="photos: no folder"):
        write(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="photos: no image in"):
        write(tmp_path / "empty")
    (tmp_path / "few").mkdir()
    for path in sorted(some_photos.iterdir())[:5]:
        (tmp_path / "few" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DatasetError, match="has 5 photographs, at least 9 are needed"):
        write(tmp_path / "few")
    for k in range(6):
        (tmp_path / "few" / f"bad{k}.png").write_bytes(b"not an image")
    with pytest.raises(DatasetError, match="bad"):
        write(tmp_path / "few")
    assert not (tmp_path / "out").exists()
