from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.datasets.labels.layouts.split_file import read_split_file
from cliqa.datasets.labels.table import ScoreTable
from cliqa.utils.errors import DatasetError

TABLE = ScoreTable(tuple("abcd"), np.arange(4.0), (2, 3, 4, 5), Path("m.csv"))


def write(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "s.json"
    path.write_text(json.dumps(content))
    return path


def test_places_and_names_give_splits(tmp_path: Path) -> None:
    path = write(tmp_path, {"train": [0, "d"], "val": [], "test": [2, 1]})
    assert read_split_file(path, TABLE).splits == ("train", "test", "test", "train")


def test_one_of_several_is_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, {"1": {"train": [0, 1, 2, 3]}, "2": {"train": [0, 1], "test": [2, 3]}})
    assert read_split_file(path, TABLE).splits == ("train",) * 4
    assert read_split_file(path, TABLE, 2).splits == ("train", "train", "test", "test")
    with pytest.raises(DatasetError, match=r"no split '3'.* It has 1, 2\. Set split_key"):
        read_split_file(path, TABLE, 3)


def test_images_in_no_split_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = read_split_file(write(tmp_path, {"train": [3], "test": [1]}), TABLE)
    assert (table.images, table.splits, table.rows) == (("b", "d"), ("test", "train"), (3, 5))
    assert "2 of 4 images are in no split" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": [4]}, r"'train' has 4, and m\.csv has 4 images, from 0 to 3"),
        ({"train": ["x"]}, "'train' has 'x'"),
        ({"train": [True]}, "'train' has True"),
        ({"train": [0], "test": ["a"]}, "the image 'a' is in 'train' and in 'test'"),
        ({"train": []}, "not the splits of a data set"),
        ([0, 1], "not the splits of a data set"),
        ({}, "no split ''"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_split_file(write(tmp_path, content), TABLE)


def test_a_pickle_is_not_read_and_the_line_that_converts_it_works(tmp_path: Path) -> None:
    path = tmp_path / "it's_seed123.pkl"
    split = {"train": np.array([0, 2])[[0, 1]].tolist(), "val": [np.int64(1)], "test": [3]}
    path.write_bytes(pickle.dumps({1: split}))
    with pytest.raises(DatasetError, match="a pickle runs whatever code is in it") as error:
        read_split_file(path, TABLE)
    advised = re.search(r'python (-c) "(.*?)" (.*)\. Then name', str(error.value))
    assert advised is not None
    new = path.with_suffix(".json")
    subprocess.run([sys.executable, "-c", advised[2], str(path), str(new)], check=True)
    assert read_split_file(new, TABLE).splits == ("train", "val", "train", "test")
