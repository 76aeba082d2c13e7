"""Records of images: case-insensitive keys, one class for each image."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.clear.metadata import Metadata, Record
from cliqa.utils.errors import DatasetError

CLASSES = ("dress", "bus", "camera")
BUS = "labeled_metadata/1/bus.json"


def read(root: Path) -> dict[str, list[Record]]:
    return Metadata(root).records("1")


def change(path: Path, image_id: str, **values: object) -> None:
    """Change a record, or add one."""
    records = json.loads(path.read_text())
    records[image_id] = {**records.get(image_id, {}), **values}
    path.write_text(json.dumps(records))


def test_keys_are_case_insensitive() -> None:
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
    assert list(Metadata(old_tree).files) == ["1", "2", "10"]


def test_records_come_class_by_class_in_the_order_of_the_file(old_tree: Path) -> None:
    found = read(old_tree)
    assert tuple(found) == CLASSES
    assert [r.image_id for r in found["bus"]] == list(json.loads((old_tree / BUS).read_text()))
    record = found["bus"][1]
    assert (record.path, record.bucket) == ("labeled_images/1/bus/1107.jpg", "1")


def test_images_are_listed_class_by_class_with_their_part(new_tree: Path) -> None:
    listing = Metadata(new_tree, "train").listing("1")
    assert listing.images[9] == "train/labeled_images/1/bus/1107.jpg"
    assert listing.targets == (0,) * 8 + (1,) * 8 + (2,) * 8
    assert listing.places[9] == "train/labeled_metadata/1/bus.json, image 1107"


def test_a_class_may_be_absent_from_a_bucket(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    (root / "labeled_metadata.json").write_text(json.dumps({"1": {"bus": BUS}}))
    found = read(root)
    assert [len(own) for own in found.values()] == [0, 8, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"1": []}', "bucket '1' must map class names to files"),
        ('{"1": {"bus": 3}}', "bucket '1' must map class names to files"),
        ("{}", "lists no bucket"),
        ('{"one": {}}', "bucket 'one' is not a number"),
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
    with pytest.raises(DatasetError, match=r"bus\.json: image 1000 is also in class 'dress'"):
        read(root)


def test_two_records_of_one_image_are_named(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    change(root / BUS, "5", IMG_PATH="labeled_images/1/bus/1107.jpg")
    with pytest.raises(DatasetError, match=r"image 5: .*1107\.jpg is the image of another record"):
        Metadata(root).listing("1")
