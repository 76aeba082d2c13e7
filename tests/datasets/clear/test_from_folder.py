"""A labelled folder becomes a data set that reads back."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cliqa.datasets.clear.from_folder import from_folder, read_date
from cliqa.datasets.clear.read import read_clear
from cliqa.utils.errors import ConfigError, DatasetError

ORIGINAL, CHANGED, BLOCK = 36867, 306, 0x8769


def photo(path: Path, original: str = "", changed: str = "") -> None:
    """Write an image with EXIF dates."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if original:
        exif.get_ifd(BLOCK)[ORIGINAL] = original
    if changed:
        exif[CHANGED] = changed
    colour = (sum(path.name.encode()) % 256, len(path.name), 9)
    Image.new("RGB", (8, 6), colour).save(path, exif=exif)


def sources(root: Path, name: str) -> list[list[str]]:
    """Return where the images of a class came from, bucket by bucket."""
    index = json.loads((root / "labeled_metadata.json").read_text())
    return [
        [record["SOURCE"] for record in json.loads((root / files[name]).read_text()).values()]
        for files in index.values()
    ]


def test_classes_are_cut_by_date(tmp_path: Path) -> None:
    for k, year in enumerate((2009, 2005, 2007, 2001, 2003)):
        photo(tmp_path / f"in/red car/{k}.jpg", original=f"{year}:05:01 12:00:00")
        photo(tmp_path / f"in/bus/b{k}.jpg", changed=f"{2010 - k}:05:01 12:00:00")
    from_folder(tmp_path / "in", tmp_path / "out", buckets=2)
    assert sources(tmp_path / "out", "red car") == [
        ["red car/3.jpg", "red car/4.jpg", "red car/1.jpg"],
        ["red car/2.jpg", "red car/0.jpg"],
    ]
    assert sources(tmp_path / "out", "bus")[0] == ["bus/b4.jpg", "bus/b3.jpg", "bus/b2.jpg"]
    record = json.loads((tmp_path / "out/labeled_metadata/1/red car.json").read_text())["3"]
    assert record == {
        "ID": "3",
        "EXT": "jpg",
        "DATE_TAKEN": "2001-05-01 12:00:00",
        "SOURCE": "red car/3.jpg",
        "IMG_DIR": "labeled_images/1/red car",
        "IMG_PATH": "labeled_images/1/red car/3.jpg",
    }
    splits = read_clear(tmp_path / "out", evaluation_protocol="iid", seed=0)
    assert splits.class_names == ("bus", "red car")
    assert [len(data) for data in splits.train] == [5, 3]


def test_names_with_numbers_are_sorted_as_people_do(tmp_path: Path) -> None:
    for k in (1, 2, 9, 10, 11):
        photo(tmp_path / f"in/bus/frame{k}.png")
    from_folder(tmp_path / "in", tmp_path / "out", buckets=2, order="name", copy="link")
    assert sources(tmp_path / "out", "bus") == [
        ["bus/frame1.png", "bus/frame2.png", "bus/frame9.png"],
        ["bus/frame10.png", "bus/frame11.png"],
    ]
    linked = tmp_path / "out/labeled_images/2/bus/frame10.png"
    assert linked.samefile(tmp_path / "in/bus/frame10.png")


def test_buckets_of_the_folder_are_kept(tmp_path: Path) -> None:
    for bucket in ("2", "10"):
        for name in ("bus", "tram"):
            for k in range(2 + (bucket == "2")):
                photo(tmp_path / f"in/{bucket}/{name}/{k}.jpg")
    photo(tmp_path / "in/10/ship/0.jpg")
    (tmp_path / "in/.cache").mkdir()
    from_folder(tmp_path / "in", tmp_path / "out")
    splits = read_clear(tmp_path / "out")
    assert splits.buckets == ("2", "10")
    assert splits.class_names == ("bus", "ship", "tram")
    assert [data.targets.tolist() for data in splits.train] == [[0, 0, 0, 2, 2, 2], [0, 0, 1, 2, 2]]
    ids = [Path(key).stem for data in splits.train for key in data.keys]
    assert sorted(ids) == [f"{k:06d}" for k in range(1, 12)]  # the names alone are not unique


def test_numbers_as_classes_are_no_buckets(tmp_path: Path) -> None:
    for name in ("0", "1"):
        photo(tmp_path / f"in/{name}/a{name}.jpg")
    from_folder(tmp_path / "in", tmp_path / "out", buckets=1, order="name")
    assert read_clear(tmp_path / "out").class_names == ("0", "1")


@pytest.mark.parametrize(
    ("original", "changed", "date"),
    [
        ("2004:05:06 07:08:09", "2020:01:01 00:00:00", "2004-05-06 07:08:09"),
        ("", "2020:01:01 00:00:00", "2020-01-01 00:00:00"),
        ("2004-05-06", "", "2004-05-06 00:00:00"),
        ("0000:00:00 00:00:00", "", None),
        ("    :  :     :  :  ", "", None),
        ("", "", None),
    ],
)
def test_dates_are_read(tmp_path: Path, original: str, changed: str, date: str | None) -> None:
    photo(tmp_path / "a.jpg", original, changed)
    assert read_date(tmp_path / "a.jpg") == date


def test_an_undated_image_is_named(tmp_path: Path) -> None:
    photo(tmp_path / "in/bus/1.jpg", original="2004:05:06 07:08:09")
    photo(tmp_path / "in/bus/2.jpg")
    with pytest.raises(DatasetError, match=r"bus: 1 of 2 images have no date .*: 2\.jpg\. .*--ord"):
        from_folder(tmp_path / "in", tmp_path / "out", buckets=2)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "in: no such folder"),
        (["a.jpg"], r"in: no folder in it\. Expected FOLDER/<class>/ or"),
        (["bus/a.txt"], r"in/bus: no image in it"),
        (["1/bus/a.jpg", "two/bus/b.jpg"], "1 is a bucket, but two is none"),
        (["1/bus/a.jpg", "01/bus/b.jpg"], r"a bucket occurs twice"),
        (["bus/a.jpg", "bus/b.jpg"], r"2 images cannot fill 10 buckets\. Set buckets=2 "),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, files: Sequence[str], message: str) -> None:
    for file in files:
        (tmp_path / "in" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / file).write_bytes(b"")
    with pytest.raises(DatasetError, match=message):
        from_folder(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "in/bus").mkdir(parents=True)
    (tmp_path / "in/bus/a.jpg").write_bytes(b"text")
    with pytest.raises(DatasetError, match=r"a\.jpg: cannot be decoded"):
        from_folder(tmp_path / "in", tmp_path / "out", buckets=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "size"}, "order must be 'date' or 'name', got 'size'"),
        ({"buckets": 0}, "buckets must be a whole number"),
        ({"copy": "move"}, "copy must be"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_folder(tmp_path, tmp_path / "out", **options)


def test_what_systems_leave_behind_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jfif", "b/2.jpg", "__MACOSX/a/._1.jpg"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "in" / name, "JPEG")
    for name in ("a/._1.jpg", "a/.DS_Store", "b/Thumbs.db", "b/notes.txt"):
        (tmp_path / "in" / name).write_bytes(b"\0\5\26\7Mac")
    with caplog.at_level(logging.INFO):
        from_folder(tmp_path / "in", tmp_path / "out", buckets=2, order="name")
    assert (
        len(list((tmp_path / "out").rglob("*.j*f*"))) + len(list((tmp_path / "out").rglob("*.jpg")))
        == 4
    )
    assert "1 file is no image by its suffix and not read (.txt 1)" in caplog.text
