from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.datasets.labels.layouts.parts import LabelFiles
from cliqa.datasets.labels.table import ScoreTable
from cliqa.utils.errors import ConfigError, DatasetError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, first in (("a.csv", 0), ("b.csv", 2), ("c.csv", 4)):
        rows = "".join(f"{k}.png,{k}\n" for k in (first, first + 1))
        (tmp_path / name).write_text(f"image,score\n{rows}")
    return tmp_path


def read(root: Path, **options: Any) -> ScoreTable:
    return LabelFiles.of(options).read(lambda file, option: root / file, "mine")


def test_several_files_are_merged(root: Path) -> None:
    table = read(root, labels=["a.csv", "b.csv"], seed=3)
    assert (table.images, table.splits) == (("0.png", "1.png", "2.png", "3.png"), None)
    assert table.where(2) == f"{root}/b.csv, row 2"
    parted = read(root, labels=["a.csv", "b.csv"], test_labels="c.csv")
    assert parted.splits == ("train",) * 4 + ("test",) * 2


def test_merged_files_have_a_column_of_splits_all_or_none(root: Path) -> None:
    (root / "b.csv").write_text("image,score,split\n2.png,1,test\n")
    with pytest.raises(DatasetError, match=r"a\.csv: no column of splits, and .*b\.csv has one"):
        read(root, labels=["a.csv", "b.csv"])
    assert len(read(root, labels=["a.csv", "b.csv"], split_column=None)) == 3


def test_the_mistakes_of_all_files_come_together(root: Path) -> None:
    (root / "a.csv").write_text("image,score\n0.png,x\n")
    (root / "c.csv").write_text("image,score\n4.png,y\n")
    with pytest.raises(DatasetError, match=r"(?s)a\.csv, row 2: .*\n.*c\.csv, row 2"):
        read(root, labels=["a.csv", "b.csv"], val_labels="c.csv")


def test_a_layouts_files_of_val_and_test_are_found_beside_that_of_train(root: Path) -> None:
    for part, k in (("train_score", 1), ("val", 2), ("test", 3)):
        (root / f"bid_{part}.txt").write_text(f"{k}.JPG\t3.5\t0.2\r")
    table = read(root, labels="bid_train_score.txt", layout="biqa_cl")
    assert table.splits == ("train", "val", "test")
    assert read(root, labels="bid_test.txt", layout="biqa_cl").splits is None
    (root / "bid_val.txt").unlink()
    assert read(root, labels="bid_train_score.txt", layout="biqa_cl").splits == ("train", "test")
    own = read(root, labels="bid_train_score.txt", layout="biqa_cl", test_labels="bid_test.txt")
    assert own.splits == ("train", "test")


def test_a_file_of_splits_is_for_one_label_file(root: Path) -> None:
    (root / "s.json").write_text('{"train": [1], "val": [0]}')
    files = LabelFiles.of(
        {
            "labels": "a.csv",
            "split_file": "s.json",
            "split_names": {"train": "train", "test": "val"},
        }
    )
    table = files.with_splits(files.read(lambda file, option: root / file, "mine"))
    assert table.splits == ("test", "train")
    with pytest.raises(ConfigError, match="mine: split_file is for one label file"):
        read(root, labels=["a.csv", "b.csv"], split_file="s.json")


def test_no_file() -> None:
    with pytest.raises(ConfigError, match=r"labels=\[\] names no label file"):
        read(Path(), labels=[])
