from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cliqa.datasets.quality.ava import AVA, ava_identity, read_ava, read_ava_list, read_ava_scores
from cliqa.datasets.quality.eva import EVA
from cliqa.datasets.sharing import find_shared
from cliqa.utils.errors import DatasetError

Layout = Callable[[str], Path]


def test_the_score_is_the_mean_rating(tmp_path: Path) -> None:
    path = tmp_path / "AVA.txt"
    path.write_text("1 953619 0 1 5 17 38 36 15 6 5 1 1 22 1396\n2 7 4 0 0 0 0 0 0 0 0 4 0 0 1\n")
    table = read_ava(path)
    ratings = np.repeat(np.arange(1, 11), [0, 1, 5, 17, 38, 36, 15, 6, 5, 1])
    np.testing.assert_allclose(table.raw, [ratings.mean(), 5.5], rtol=1e-12)
    assert table.std is not None
    np.testing.assert_allclose(table.std, [ratings.std(), 4.5], rtol=1e-12)
    assert table.images == ("953619.jpg", "7.jpg")
    assert table.ratings == tuple(range(1, 11))
    assert table.shares is not None
    np.testing.assert_allclose(table.shares[0] * 124, [0, 1, 5, 17, 38, 36, 15, 6, 5, 1])
    np.testing.assert_allclose(table.shares @ np.arange(1, 11), table.raw)


def test_test_is_the_official_list_and_val_a_share_of_the_rest(layout: Layout) -> None:
    data = AVA(layout("AVA"), val_fraction=0.1)
    assert [data.splits.count(split) for split in ("train", "val", "test")] == [27, 3, 10]
    test = {image for image, split in data.split_table() if split == "test"}
    assert test == {f"{110 + k}.jpg" for k in range(30, 40)}


def test_ready_made_scores(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    files = [{"image": "ava_001.jpg", "score": 8.1}, {"image": "ava_002.jpg", "score": "5.7"}]
    path.write_text(json.dumps({"files": files}))
    table = read_ava_scores(path)
    assert table.images == ("ava_001.jpg", "ava_002.jpg")
    assert table.raw.tolist() == [8.1, 5.7]


def test_the_data_set_reads_ready_made_scores(layout: Layout) -> None:
    root = layout("AVA")
    files = [{"image": f"{110 + k}.jpg", "score": 1 + k / 5} for k in range(40)]
    (root / "labels.json").write_text(json.dumps({"files": files}))
    data = AVA(root, labels="labels.json", img_root="ava_images")
    assert [data.splits.count(split) for split in ("train", "val", "test")] == [32, 4, 4]
    assert data.keys[0] == "ava/110"


def test_identity_needs_numbers() -> None:
    assert ava_identity(["x/1.jpg", "22.png"], "mine") == "ava"
    assert ava_identity(["x/1.jpg", "ava_2.jpg"], "mine") == "mine"


def test_eva_images_are_found_in_ava(layout: Layout) -> None:
    eva, ava = EVA(layout("EVA")), AVA(layout("AVA"))
    shared = find_shared([eva, ava], by_content=False)
    assert [row.key for row in shared] == [f"ava/{k}" for k in range(110, 120)]
    for row in shared:
        (first, one), (second, other) = row.places
        assert (first, second) == (0, 1)
        assert eva.keys[one] == ava.keys[other]


def test_a_list_holds_ids(tmp_path: Path) -> None:
    path = tmp_path / "a.jpgl"
    path.write_text("1\r\n22\r\n\r\n")
    assert read_ava_list(path) == {1, 22}
    path.write_text("1\n22.jpg\n")
    with pytest.raises(DatasetError, match=r"row 2: '22\.jpg' is not an image id"):
        read_ava_list(path)


def test_a_number_beyond_64_bits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "AVA.txt"
    path.write_text(f"1 {10**30} 0 1 5 17 38 36 15 6 5 1 1 22 1396\n")
    with pytest.raises(DatasetError, match="a number is too large"):
        read_ava(path)


def test_as_many_rows_as_the_real_file_has_are_read_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "AVA.txt"
    lines = (f"{k} {k * 3} 0 1 5 17 38 36 15 6 5 1 1 22 1396" for k in range(255_530))
    path.write_text("\n".join(lines))
    start = time.process_time()
    table = read_ava(path)
    assert time.process_time() - start < 3.0
    assert len(table) == 255_530


def test_lines_tell_the_tag_and_the_challenge(layout: Layout) -> None:
    known = AVA(layout("AVA")).table.attributes
    assert {name: set(column) for name, column in known.items()} == {
        "tag": {"1"},
        "challenge": {"1396"},
    }
