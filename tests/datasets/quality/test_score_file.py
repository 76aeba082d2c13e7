from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from PIL import Image

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


def test_a_missing_split_is_added_where_the_splits_come_from(layout: Layout) -> None:
    root = layout("ScoreFile")
    assert make(root).split_advice == "set fractions=(0.8, 0.1, 0.1)"
    write_json(root / "train.json", ROWS[:15])
    write_json(root / "test.json", ROWS[15:])
    parts = make(root, "train.json", test_labels="test.json")
    assert parts.split_advice == "give labels, val_labels and test_labels, one file per split"
    write_json(root / "train.json", ROWS, split="train")
    assert (
        "in the column 'split', or set split_column=None" in make(root, "train.json").split_advice
    )


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


def test_counts_of_votes_are_the_raters_distribution(layout: Layout) -> None:
    root = layout("ScoreFile")
    rows = [f"{image},{k % 3},1,{score}" for k, (image, score) in enumerate(ROWS)]
    (root / "votes.csv").write_text("\n".join(["image,good,bad,score", *rows]))
    votes = {"good": 10, "bad": 0}
    data = make(root, "votes.csv", vote_columns=votes)
    assert data.table.ratings == (0.0, 10.0)
    assert data.table.shares is not None
    np.testing.assert_allclose(data.table.shares[:3, 1], [0, 1 / 2, 2 / 3])
    assert data.raw_scores[3] == 1.5
    mean = make(root, "votes.csv", vote_columns={1: 10, 2: 0}, score_column=None)
    np.testing.assert_allclose(mean.raw_scores[:3], [0, 5, 20 / 3])
    with pytest.raises(DatasetError, match=r"no column 'best'"):
        make(root, "votes.csv", vote_columns={"best": 1, "bad": 0})
    with pytest.raises(ConfigError, match="vote_columns must give the rating"):
        make(root, "votes.csv", vote_columns={"good": "high", "bad": 0})
    with pytest.raises(ConfigError, match=r"score_column=None takes the mean .*vote_columns to"):
        make(root, "votes.csv", score_column=None)
    (root / "votes.csv").write_text("image,good,bad,score\npictures/0.png,0,-1,3\n")
    with pytest.raises(DatasetError, match=r"row 2: the counts of its votes are -1 0"):
        make(root, "votes.csv", vote_columns=votes)


def test_several_words_may_mean_one_split(layout: Layout) -> None:
    root = layout("ScoreFile")
    words = ["a", "b", "c", "3"]
    rows = [f"{image},{score},{words[k % 4]}" for k, (image, score) in enumerate(ROWS)]
    (root / "own.csv").write_text("\n".join(["image,score,split", *rows]))
    names = {"train": ["a", "b"], "val": "c", "test": 3}
    data = make(root, "own.csv", split_names=names)
    assert data.splits[:4] == ("train", "train", "val", "test")


def test_a_published_split_needs_one_word(tmp_path: Path) -> None:
    names = [f"dst_imgs/awgn/{ref}.AWGN.{k}.png" for ref in "abc" for k in range(1, 5)]
    for k, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (k, 0, 0)).save(tmp_path / name)
    for place, part in enumerate(("train_score", "val", "test")):
        own = names[4 * place : 4 * place + 4]
        text = "".join(f"{name}\t0.{k}\t0.01\r" for k, name in enumerate(own))
        (tmp_path / f"csiq_{part}.txt").write_bytes(text.encode())
    data = ScoreFile(tmp_path, "csiq_train_score.txt", layout="biqa_cl")
    assert (data.score_range, data.higher_is_better) == ((0.0, 1.0), True)
    assert [data.splits.count(split) for split in ("train", "val", "test")] == [4, 4, 4]
    assert data.keys[0] == "csiq/a.AWGN.1.png"
    assert ScoreFile.declared_range(labels="csiq_val.txt", layout="biqa_cl") == (0.0, 1.0)
    assert not ScoreFile.declared_direction(labels="csiq_label.txt", layout="maniqa")


@pytest.mark.parametrize(
    ("cell", "decimal", "value"),
    [("3,5", None, 3.5), ("3,125", ",", 3.125), (".5", None, 0.5), ("-1,5e-1", None, -0.15)],
)
def test_decimal_commas(tmp_path: Path, cell: str, decimal: Any, value: float) -> None:
    (tmp_path / "a.csv").write_text(f"image;score\na;{cell}\nb;2\n")
    assert read_scores(tmp_path / "a.csv", decimal=decimal).raw.tolist() == [value, 2.0]


@pytest.mark.parametrize(("cell", "other"), [("1,250", "2"), ("3,5", "2.5"), ("1.000,5", "2")])
def test_commas_that_may_mean_something_else(tmp_path: Path, cell: str, other: str) -> None:
    (tmp_path / "a.csv").write_text(f"image;score\na;{cell}\nb;{other}\n")
    with pytest.raises(DatasetError, match=rf"a\.csv, row 2: 'score' is '{cell}'"):
        read_scores(tmp_path / "a.csv")
    with pytest.raises(DatasetError, match="row 2: 'score' is"):
        read_scores(tmp_path / "a.csv", decimal=".")
