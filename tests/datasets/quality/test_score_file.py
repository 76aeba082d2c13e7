from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

from cliqa.datasets.labels.score_columns import read_scores
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.utils.errors import ConfigError, DatasetError

Layout = Callable[[str], Path]
ROWS = [(f"pictures/{k}.png", k / 2) for k in range(20)]


def make(root: Path, labels: str = "scores.csv", **options: Any) -> ScoreFile:
    defaults: dict[str, Any] = {"score_range": (0, 10), "higher_is_better": True}
    return ScoreFile(root, labels, **{**defaults, **options})


def write_json(path: Path, rows: list[tuple[str, float]], **extra: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    entries = [{"image": image, "score": f"{score}", **extra} for image, score in rows]
    path.write_text(json.dumps(entries))


def test_a_csv_file_with_the_usual_columns(layout: Layout) -> None:
    data = make(layout("ScoreFile"))
    assert (len(data), data.name) == (20, "scores")
    assert data.raw_scores[3] == 1.5
    assert data.std is not None
    assert data.keys[3] == "scores/3.png"
    assert [data.splits.count(split) for split in ("train", "val", "test")] == [16, 2, 2]


def test_json_and_xlsx_files_hold_the_same(layout: Layout) -> None:
    root = layout("ScoreFile")
    write_json(root / "metas/scores.json", ROWS)
    book = openpyxl.Workbook()
    for row in [("image", "score"), *ROWS]:
        book.worksheets[0].append(row)
    book.save(root / "scores.xlsx")
    expected = make(root)
    for labels in ("metas/scores.json", "scores.xlsx"):
        data = make(root, labels)
        np.testing.assert_array_equal(data.scores, expected.scores)
        assert data.split_table() == expected.split_table()


def test_one_file_per_split(layout: Layout) -> None:
    root = layout("ScoreFile")
    write_json(root / "metas/toy_train.json", ROWS[:15])
    write_json(root / "metas/toy_test.json", ROWS[15:])
    data = make(root, "metas/toy_train.json", test_labels="metas/toy_test.json")
    assert data.name == "toy_train"
    assert [data.splits.count(split) for split in ("train", "val", "test")] == [13, 2, 5]
    assert data.splits[15:] == ("test",) * 5
    assert data.table.where(15) == f"{root}/metas/toy_test.json, row 1"
    write_json(root / "metas/toy_val.json", ROWS[10:15])
    write_json(root / "metas/toy_train.json", ROWS[:10])
    files = {"test_labels": "metas/toy_test.json", "val_labels": "metas/toy_val.json"}
    data = make(root, "metas/toy_train.json", **files)
    assert [data.splits.count(split) for split in ("train", "val", "test")] == [10, 5, 5]


def test_an_image_in_two_files_is_refused(layout: Layout) -> None:
    root = layout("ScoreFile")
    write_json(root / "metas/train.json", ROWS[:15])
    write_json(root / "metas/test.json", ROWS[14:])
    message = (
        r"test\.json, row 1: image 'pictures/14\.png' is in the split 'test' and also in 'train'"
    )
    with pytest.raises(DatasetError, match=message):
        make(root, "metas/train.json", test_labels="metas/test.json")


def test_a_column_of_splits_and_of_groups(layout: Layout) -> None:
    root = layout("ScoreFile")
    rows = [
        f"{i},{s},ref{k // 2},{'test' if k > 15 else 'Training'}" for k, (i, s) in enumerate(ROWS)
    ]
    (root / "own.csv").write_text("\n".join(["image,score,group,split", *rows]))
    data = make(root, "own.csv")
    assert [data.splits.count(split) for split in ("train", "val", "test")] == [14, 2, 4]
    assert data.groups is not None
    val = [group for group, split in zip(data.groups, data.splits, strict=True) if split == "val"]
    assert len(set(val)) == 1
    seeded = make(root, "own.csv", split_column=None, group_column=None)
    assert seeded.groups is None
    assert [seeded.splits.count(split) for split in ("train", "val", "test")] == [16, 2, 2]


def test_everything_may_be_a_test_set(layout: Layout) -> None:
    data = make(layout("ScoreFile"), fractions=(0, 0, 1))
    assert set(data.splits) == {"test"}


def test_a_split_column_may_know_only_a_test(layout: Layout) -> None:
    root = layout("ScoreFile")
    write_json(root / "t.json", ROWS, split="test")
    data = make(root, "t.json", fractions=(0, 0, 1))
    assert [len(data.subset(split)) for split in ("train", "val", "test")] == [0, 0, 20]


def test_columns_of_any_name(layout: Layout) -> None:
    root = layout("ScoreFile")
    rows = [f"{k};{10 - k / 2};p{k % 10};0.1" for k in range(20)]
    (root / "own.tsv").write_text("\n".join(["id;dmos;prompt;sigma", *rows]))
    data = make(
        root,
        "own.tsv",
        images="pictures",
        higher_is_better=False,
        image_column="id",
        score_column="dmos",
        std_column="sigma",
        group_column="prompt",
        delimiter=";",
        suffix=".png",
        identity="spaq",
        name="own",
    )
    assert data.paths[4] == root / "pictures/4.png"
    assert data.scores[4] == pytest.approx(0.2)
    assert data.groups is not None
    assert data.groups[4] == "p4"
    assert data.std is not None
    assert data.std[4] == 0.1
    assert (data.name, data.keys[4]) == ("own", "spaq/4.png")


def test_a_renamed_column_must_be_there(layout: Layout) -> None:
    root = layout("ScoreFile")
    for option in ("image_column", "score_column", "std_column", "group_column", "split_column"):
        with pytest.raises(DatasetError, match=r"no column 'stt'"):
            make(root, **{option: "stt"})
    assert read_scores(root / "scores.csv", std_column=None).std is None


def test_range_and_direction_must_be_declared(layout: Layout) -> None:
    root = layout("ScoreFile")
    with pytest.raises(ConfigError, match="missing argument 'higher_is_better'"):
        ScoreFile(root, "scores.csv", (0, 10))
    with pytest.raises(ConfigError, match="missing argument 'score_range'"):
        ScoreFile(root, "scores.csv", higher_is_better=True)


def test_splits_come_from_files_or_from_a_column(layout: Layout) -> None:
    root = layout("ScoreFile")
    write_json(root / "train.json", ROWS[:15], split="train")
    write_json(root / "test.json", ROWS[15:])
    with pytest.raises(ConfigError, match=r"train\.json has a column of splits, and"):
        make(root, "train.json", test_labels="test.json")
    assert len(make(root, "train.json", test_labels="test.json", split_column=None)) == 20


def test_a_missing_second_file_is_named(layout: Layout) -> None:
    with pytest.raises(DatasetError, match=r"no label file .*t\.json .*Set test_labels='\.\.\.'"):
        make(layout("ScoreFile"), test_labels="t.json")


def test_a_users_own_files_have_no_official_layout(layout: Layout) -> None:
    root = layout("ScoreFile")
    with pytest.raises(DatasetError, match=r"no folder .*gone .*Set root='\.\.\.' to its path\.$"):
        make(root / "gone")
    with pytest.raises(DatasetError, match=r"no label file .*Set labels='\.\.\.' to its path\.$"):
        make(root, labels="gone.csv")


def test_an_image_outside_the_root_may_be_named_by_its_whole_path(
    layout: Layout, tmp_path: Path
) -> None:
    pictures = layout("ScoreFile") / "pictures"
    rows = [f"{pictures}/{k}.png,1" for k in range(20)]
    (tmp_path / "abs.csv").write_text("\n".join(["image,score", *rows]))
    assert make(tmp_path, "abs.csv").paths[0] == pictures / "0.png"
