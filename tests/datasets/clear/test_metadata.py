"""Records of images: keys whatever their case, one class for each image."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.clear.metadata import Record, as_listing, read_bucket, read_index
from cliqa.utils.errors import DatasetError

CLASSES = ("dress", "bus", "camera")
BUS = "labeled_metadata/1/bus.json"


def read(root: Path) -> dict[str, list[Record]]:
    return read_bucket(root, "1", read_index(root)["1"], CLASSES)


def change(path: Path, image_id: str, **values: object) -> None:
    """Change a record, or add one."""
    records = json.loads(path.read_text())
    records[image_id] = {**records.get(image_id, {}), **values}
    path.write_text(json.dumps(records))


def test_keys_are_found_whatever_their_case() -> None:
    record = Record({"DATE_TAKEN": "2004", "lat": None}, "7", "a/7.jpg")
    assert record["date_taken"] == record["DATE_TAKEN"] == record.get("Date_Taken") == "2004"
    assert "date_taken" in record
    assert "taken" not in record
    assert 5 not in record
    assert record.get("taken", 3) == 3
    assert record.empty_keys == set()
    assert record["LAT"] is None
    assert record.empty_keys == {"LAT"}
    with pytest.raises(DatasetError, match=r"a/7\.jpg: no 'title' in .* has DATE_TAKEN, lat"):
        record["title"]


def test_buckets_come_in_the_order_of_time(old_tree: Path) -> None:
    assert list(read_index(old_tree)) == ["1", "2", "10"]


def test_records_come_class_by_class_in_the_order_of_the_file(old_tree: Path) -> None:
    found = read(old_tree)
    assert tuple(found) == CLASSES
    assert [r.image_id for r in found["bus"]] == list(json.loads((old_tree / BUS).read_text()))
    record = found["bus"][1]
    assert (record.path, record.bucket) == ("labeled_images/1/bus/1107.jpg", "1")
    listing = as_listing(found, read_index(old_tree)["1"], "train")
    assert listing.images[9] == "train/labeled_images/1/bus/1107.jpg"
    assert listing.targets == (0,) * 8 + (1,) * 8 + (2,) * 8
    assert listing.places[9] == "train/labeled_metadata/1/bus.json, image 1107"


def test_a_class_may_be_absent_from_a_bucket(old_tree: Path) -> None:
    found = read_bucket(old_tree, "1", {"bus": BUS}, CLASSES)
    assert [len(own) for own in found.values()] == [0, 8, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"1": []}', "bucket '1' must map class names to files"),
        ('{"1": {"bus": 3}}', "bucket '1' must map class names to files"),
        ("{}", "lists no bucket"),
        ('{"one": {}}', "bucket 'one' is no number"),
        ('{"1": {}}', "bucket 1 has no image"),
        ('{"1": {"tram": "a.json"}}', "bucket 1 has the classes tram, which class_names"),
        ('{"1": {"bus": "a.json"}}', r"a\.json: missing"),
    ],
)
def test_a_damaged_index_is_named(copy_of: Callable[[str], Path], text: str, message: str) -> None:
    root = copy_of("old")
    (root / "labeled_metadata.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read(root)


def test_damaged_records_are_named(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    change(root / BUS, "1107", IMG_PATH=None)
    with pytest.raises(DatasetError, match=r"bus\.json: image 1107 has no IMG_PATH"):
        read(root)


def test_an_image_in_two_classes_of_a_bucket_is_named(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    change(root / BUS, "1000", IMG_PATH="labeled_images/1/bus/1000.jpg")
    with pytest.raises(DatasetError, match=r"bus\.json: image 1000 is in class 'dress' of bucket"):
        read(root)


def test_two_records_of_one_image_are_named(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    change(root / BUS, "5", IMG_PATH="labeled_images/1/bus/1107.jpg")
    with pytest.raises(DatasetError, match=r"image 5: .*1107\.jpg is the image of another record"):
        as_listing(read(root), read_index(root)["1"])
