"""Images in several splits: found by name and by content, and taken out of training."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cliqa.benchmarks.overlap import without_overlap
from cliqa.datasets.base import QualityDataset
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.utils.errors import ConfigError

Splits = dict[tuple[str, str], QualityDataset]


@pytest.fixture
def two_sets(tmp_path: Path) -> Path:
    """Data sets p and q of 10 images; q's images 0..3 are p's images 0..3 under other names."""
    random = np.random.default_rng(0)
    for name in "pq":
        (tmp_path / name).mkdir()
    for k in range(10):
        for name in "pq":
            pixels = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{name}{k}.png")
    for k in range(4):
        shutil.copy(tmp_path / "p" / f"p{k}.png", tmp_path / "q" / f"q{k}.png")
    # p trains on images 0..5, q tests on images 0..4
    splits = {
        "p": "train " * 6 + "val " * 2 + "test " * 2,
        "q": "test " * 5 + "train " * 3 + "val " * 2,
    }
    for name, kinds in splits.items():
        rows = [f"{name}{k}.png,{k / 10},{kind}" for k, kind in enumerate(kinds.split())]
        (tmp_path / name / "s.csv").write_text("\n".join(["image,score,split", *rows]) + "\n")
    return tmp_path


def splits_of(root: Path, **options: Any) -> Splits:
    found: Splits = {}
    for name in "pq":
        data = ScoreFile(root / name, "s.csv", (0, 1), True, images=".", name=name, **options)
        found.update({(name, kind): data.subset(kind) for kind in ("train", "val", "test")})
    return found


def test_shared_images_leave_the_training_split(two_sets: Path) -> None:
    splits = splits_of(two_sets)
    kept, overlaps = without_overlap(splits, "remove")
    assert [p.name for p in kept["p", "train"].paths] == ["p4.png", "p5.png"]
    assert len(kept["q", "test"]) == 5
    assert [str(o) for o in overlaps] == ["p/train and q/test share 4 images; removed from p/train"]


def test_keep_reports_only(two_sets: Path) -> None:
    kept, overlaps = without_overlap(splits_of(two_sets), "keep")
    assert len(kept["p", "train"]) == 6
    assert [str(o) for o in overlaps] == ["p/train and q/test share 4 images"]


def test_error_stops(two_sets: Path) -> None:
    with pytest.raises(ConfigError, match=r"share 4 images.*shared='error'.*'remove'"):
        without_overlap(splits_of(two_sets), "error")


def test_found_by_identity_where_files_differ(two_sets: Path) -> None:
    for name in "pq":
        text = (two_sets / name / "s.csv").read_text()
        (two_sets / name / "s.csv").write_text(text.replace(f"{name}9.png", "same.png"))
        (two_sets / name / f"{name}9.png").rename(two_sets / name / "same.png")
    _, overlaps = without_overlap(splits_of(two_sets, identity="both"), "remove")
    assert "q/val and p/test share 1 image; removed from q/val" in [str(o) for o in overlaps]


def test_images_shared_by_training_splits_stay(two_sets: Path) -> None:
    shutil.copy(two_sets / "p" / "p4.png", two_sets / "q" / "q6.png")
    kept, overlaps = without_overlap(splits_of(two_sets), "remove")
    assert len(kept["q", "train"]) == 3
    assert "p/train and q/train share 1 image" in [str(o) for o in overlaps]


def test_copies_count_once_each(two_sets: Path) -> None:
    for name, k in (("p", 1), ("p", 2), ("q", 1), ("q", 2), ("q", 3)):
        shutil.copy(two_sets / "p" / "p0.png", two_sets / name / f"{name}{k}.png")
    kept, overlaps = without_overlap(splits_of(two_sets), "remove")
    assert [str(o) for o in overlaps] == ["p/train and q/test share 3 images; removed from p/train"]
    assert len(kept["p", "train"]) == 3


def test_an_emptied_training_split_is_an_error(two_sets: Path) -> None:
    for k in (4, 5):
        shutil.copy(two_sets / "p" / f"p{k}.png", two_sets / "q" / f"q{k - 4}.png")
    rows = [f"p{k}.png,0.5,{'train' if k in (2, 3) else 'test'}" for k in range(10)]
    (two_sets / "p" / "s.csv").write_text("\n".join(["image,score,split", *rows]) + "\n")
    with pytest.raises(ConfigError, match="all 2 images of p/train are also in a test"):
        without_overlap(splits_of(two_sets, fractions=(1.0, 0.0, 0.0)), "remove")


def test_what_an_earlier_stage_has_learnt_leaves_later_test_data(two_sets: Path) -> None:
    splits = splits_of(two_sets)
    kept, overlaps = without_overlap(splits, "remove", {"p": 0, "q": 1})
    assert len(kept["p", "train"]) == 6
    assert len(kept["q", "test"]) == 1
    assert [o.removed_from for o in overlaps] == [("q", "test")]
    later, _ = without_overlap(splits, "remove", {"p": 1, "q": 1})  # of one stage, as ever
    assert len(later["p", "train"]) == 2


def test_an_emptied_test_split_is_an_error(two_sets: Path) -> None:
    splits = splits_of(two_sets)
    splits["q", "test"] = splits["q", "test"].select(range(4))
    with pytest.raises(ConfigError, match="all 4 images of q/test were trained on earlier in the"):
        without_overlap(splits, "remove", {"p": 0, "q": 1})
