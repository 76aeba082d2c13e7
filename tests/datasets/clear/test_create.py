"""A data set cut anew: sorted, filtered, complete, in the same layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cliqa.datasets.clear.create import create_dataset
from cliqa.datasets.clear.metadata import Record
from cliqa.datasets.clear.read import read_clear
from cliqa.utils.errors import ConfigError, DatasetError

CLASSES = ("dress", "bus", "camera")


def dates(root: Path, name: str, part: str = "") -> list[list[str]]:
    """Return the dates of a class's images, bucket by bucket."""
    index = json.loads((root / part / "labeled_metadata.json").read_text())
    return [
        [r["DATE_TAKEN"] for r in json.loads((root / part / files[name]).read_text()).values()]
        for files in index.values()
    ]


def ids(root: Path) -> list[int]:
    return sorted(int(path.stem) for path in root.rglob("*.jpg"))


def by_date(records: list[Record], reverse: bool = False) -> list[Record]:
    return sorted(records, key=lambda record: record["DATE_TAKEN"], reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_classes_are_sorted_and_cut(old_tree: Path, tmp_path: Path, reverse: bool) -> None:
    out = tmp_path / "out"
    create_dataset(old_tree, out, partial(by_date, reverse=reverse), buckets=5)
    assert ids(out) == ids(old_tree)
    for name in CLASSES:
        found = dates(out, name)
        assert [len(own) for own in found] == [5, 5, 5, 5, 4]
        assert sum(found, []) == sorted(sum(dates(old_tree, name), []), reverse=reverse)
    splits = read_clear(out)
    assert splits.buckets == ("1", "2", "3", "4", "5")
    assert splits.class_names == CLASSES
    assert len(read_clear(out, evaluation_protocol="iid", seed=4).test[4]) == 3
    assert splits.train[0][0][0].shape == (3, 6, 8)


def test_the_default_sorts_by_date_into_the_same_buckets(old_tree: Path, tmp_path: Path) -> None:
    create_dataset(old_tree, tmp_path / "out")
    assert read_clear(tmp_path / "out").buckets == ("1", "2", "10")
    assert sum(dates(tmp_path / "out", "bus"), []) == sorted(sum(dates(old_tree, "bus"), []))


def test_records_come_in_the_order_of_time_and_may_be_filtered(
    old_tree: Path, tmp_path: Path
) -> None:
    seen: list[str] = []

    def keep_even(records: list[Record]) -> list[Record]:
        seen.extend(record.bucket for record in records)
        return [record for record in records if int(record["id"]) % 2 == 0]

    create_dataset(old_tree, tmp_path / "out", keep_even)
    assert seen == (["1"] * 8 + ["2"] * 8 + ["10"] * 8) * 3
    assert ids(tmp_path / "out") == [number for number in ids(old_tree) if number % 2 == 0]


def test_the_new_layout_stays_and_images_keep_their_part(new_tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    create_dataset(new_tree, out, by_date, buckets=2, copy="link")
    for part in ("train", "test"):
        assert ids(out / part) == ids(new_tree / part)
    splits = read_clear(out, evaluation_protocol="iid")
    assert (splits.layout, splits.buckets) == ("new", ("1", "2"))
    sizes = [len(a) + len(b) for a, b in zip(splits.train, splits.test, strict=True)]
    assert sizes == [54, 54]
    first, second = (
        {date for part in ("train", "test") for date in dates(out, "bus", part)[k]} for k in (0, 1)
    )
    assert max(first) <= min(second)
    image = next((new_tree / "test").rglob("*.jpg"))
    assert next((out / "test").rglob(image.name)).samefile(image)


def test_records_keep_what_they_say_and_the_source_stays(old_tree: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in old_tree.rglob("*.*") if path.is_file()}
    create_dataset(old_tree, tmp_path / "out", buckets=1)
    record = json.loads((tmp_path / "out/labeled_metadata/1/bus.json").read_text())["10107"]
    assert record["IMG_PATH"] == "labeled_images/1/bus/10107.jpg"
    assert record["EXT"] == "jpg"
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("process", "message"),
    [
        (lambda records: [*records, records[0]], "returned image 1000 of class 'dress' twice"),
        (
            lambda records: [dict(record) for record in records],
            "else than a record of class 'dress': {'ID'",
        ),
        (lambda records: [5], "something else than a record of class 'dress': 5"),
        (lambda records: sorted(records, key=lambda x: x["title"]), r"1000\.jpg: no 'title' in"),
        (lambda records: records[:2], "bucket 10 would have no image. Keep more"),
    ],
)
def test_a_wrong_process_is_refused_before_anything_is_written(
    old_tree: Path, tmp_path: Path, process: Any, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        create_dataset(old_tree, tmp_path / "out", process)
    assert list(tmp_path.iterdir()) == []


def test_errors_of_a_process_of_ones_own_come_through(old_tree: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        create_dataset(old_tree, tmp_path / "out", lambda records: list({*records}))


def test_a_missing_date_is_named(copy_of: Callable[[str], Path], tmp_path: Path) -> None:
    root = copy_of("old")
    path = root / "labeled_metadata/2/bus.json"
    records = json.loads(path.read_text())
    records["2107"]["DATE_TAKEN"] = None
    path.write_text(json.dumps(records))
    with pytest.raises(DatasetError, match=r"bus/2107\.jpg: 'date_taken' is null .*Filter such"):
        create_dataset(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_images_are_named(copy_of: Callable[[str], Path], tmp_path: Path) -> None:
    root = copy_of("old")
    (root / "labeled_images/2/bus/2107.jpg").unlink()
    with pytest.raises(DatasetError, match=r"1 of 72 images are missing: .*2107\.jpg"):
        create_dataset(root, tmp_path / "out")


def test_an_id_twice_in_a_new_bucket_is_refused(
    copy_of: Callable[[str], Path], tmp_path: Path
) -> None:
    root = copy_of("old")
    path = root / "labeled_metadata/2/bus.json"
    records = json.loads(path.read_text())
    records["1107"] = records.pop("2107")
    path.write_text(json.dumps(records))
    create_dataset(root, tmp_path / "apart", lambda records: records)
    with pytest.raises(DatasetError, match="id 1107 would be twice in bucket 1"):
        create_dataset(root, tmp_path / "out", buckets=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"buckets": 0}, "buckets must be a whole number"), ({"copy": "move"}, "copy must be 'copy'")],
)
def test_wrong_options_are_refused(
    old_tree: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        create_dataset(old_tree, tmp_path / "out", **options)
