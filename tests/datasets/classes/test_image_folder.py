"""A folder of one folder per class: which images count, how they are split, what is refused."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
import torch
from PIL import Image

from cliqa.datasets.classes import image_folder
from cliqa.datasets.classes.class_dataset import ImageFiles
from cliqa.datasets.classes.image_folder import read_image_folder
from cliqa.transforms.image_file import IMAGE_SUFFIXES
from cliqa.utils.errors import ConfigError, DatasetError


def write(root: Path, *names: str) -> None:
    """Write an 6 x 5 image per name; other files than images get a word."""
    for place, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            Image.new("RGB", (6, 5), (place % 256, 0, 0)).save(path)
        else:
            path.write_text("no image")


@pytest.fixture
def one_part(tmp_path: Path) -> Path:
    """Return a folder of the classes ant (2 images), bee (10) and cow (25)."""
    counts = {"cow": 25, "ant": 2, "bee": 10}
    write(tmp_path, *(f"{name}/{k}.png" for name, count in counts.items() for k in range(count)))
    return tmp_path


@pytest.fixture
def two_parts(tmp_path: Path) -> Path:
    write(
        tmp_path, "train/b/1.png", "train/a/1.png", "train/a/2.png", "test/a/3.png", "test/b/2.png"
    )
    return tmp_path


def test_classes_are_sorted_and_split_one_by_one(one_part: Path) -> None:
    train, test = read_image_folder(one_part)
    assert train.class_names == test.class_names == ("ant", "bee", "cow")
    assert [train.targets.tolist().count(k) for k in range(3)] == [1, 8, 20]
    assert [test.targets.tolist().count(k) for k in range(3)] == [1, 2, 5]
    assert not set(train.keys) & set(test.keys)
    assert len({*train.keys, *test.keys}) == 37
    for part in (train, test):
        for key, target in zip(part.keys, part.targets, strict=True):
            assert key.split("/")[0] == part.class_names[target]


@pytest.mark.parametrize("fraction", [0.001, 0.5, 0.999])
def test_no_class_is_left_without_training_or_test_images(one_part: Path, fraction: float) -> None:
    for part in read_image_folder(one_part, test_fraction=fraction):
        assert set(part.targets) == {0, 1, 2}


def test_the_seed_decides(one_part: Path) -> None:
    first, again, other = (read_image_folder(one_part, seed=seed)[1].keys for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_the_order_of_the_file_system_does_not_matter(
    one_part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [part.keys for part in read_image_folder(one_part)]
    walk, iterdir = os.walk, Path.iterdir

    def walk_backwards(top: Any, **options: Any) -> Iterator[Any]:
        for parent, folders, files in walk(top, **options):
            folders.reverse()
            yield parent, folders, sorted(files, reverse=True)

    monkeypatch.setattr(image_folder.os, "walk", walk_backwards)
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(sorted(iterdir(path), reverse=True)))
    assert [part.keys for part in read_image_folder(one_part)] == expected


def test_another_place_or_another_class_moves_no_image(one_part: Path, tmp_path: Path) -> None:
    bees = [key for key in read_image_folder(one_part)[1].keys if key.startswith("bee")]
    write(one_part, "aardvark/1.png", "aardvark/2.png")
    one_part = one_part.rename(tmp_path.with_name("moved"))
    assert [key for key in read_image_folder(one_part)[1].keys if key.startswith("bee")] == bees


@pytest.mark.parametrize("suffix", [".jpg", ".Png", ".TIFF", ".jp2"])
def test_suffixes(suffix: str, tmp_path: Path) -> None:
    write(tmp_path, f"a/1{suffix}", f"a/2{suffix}", f"b/1{suffix}", f"b/2{suffix}")
    train, test = read_image_folder(tmp_path)
    assert (len(train), len(test)) == (2, 2)
    assert train[0][0].shape == (3, 5, 6)


def test_nested_images_count_and_other_files_do_not(tmp_path: Path) -> None:
    write(tmp_path, "a/x/y/1.png", "a/2.png", "a/notes.txt", "a/.hidden.png", "a/.cache/3.png")
    write(tmp_path, "b/1.png", "b/2.png", ".git/1.png", "readme.md", "stray.png")
    parts = read_image_folder(tmp_path)
    assert sorted(key for part in parts for key in part.keys) == [
        "a/2.png", "a/x/y/1.png", "b/1.png", "b/2.png",
    ]  # fmt: skip


def test_train_and_test_are_kept(two_parts: Path) -> None:
    train, test = read_image_folder(two_parts, test_fraction=0.9, seed=7)
    assert train.keys == ("train/a/1.png", "train/a/2.png", "train/b/1.png")
    assert test.keys == ("test/a/3.png", "test/b/2.png")
    assert train.targets.tolist() == [0, 0, 1]
    assert train.class_names == ("a", "b")


@pytest.mark.parametrize("name", ["val", "valid"])
def test_a_validation_part_is_the_test_part_where_there_is_no_other(
    two_parts: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (two_parts / "test").rename(two_parts / name)
    assert read_image_folder(two_parts)[1].keys == (f"{name}/a/3.png", f"{name}/b/2.png")
    write(two_parts, "test/a/5.png", "test/b/5.png")
    with caplog.at_level(logging.INFO):
        assert read_image_folder(two_parts)[1].keys == ("test/a/5.png", "test/b/5.png")
    assert f"test is the test part; {name} is not read" in caplog.text


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write(tmp_path, "train/1.png", "train/2.png", "bus/1.png", "bus/2.png")
    assert read_image_folder(tmp_path)[0].class_names == ("bus", "train")


def test_images_stay_in_their_files(two_parts: Path) -> None:
    train, _ = read_image_folder(two_parts)
    assert isinstance(train.inputs, ImageFiles)
    image, _ = train[1]
    Image.new("RGB", (6, 5), (9, 9, 9)).save(two_parts / "train/a/2.png")
    assert not torch.equal(train[1][0], image)


@pytest.mark.parametrize("fraction", [0, 1, 1.5, float("nan"), "0.2"])
def test_a_share_out_of_range_is_refused(one_part: Path, fraction: Any) -> None:
    with pytest.raises(ConfigError, match="test_fraction must be a number between 0 and 1"):
        read_image_folder(one_part, test_fraction=fraction)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"missing: no such folder \(from .*dataset_root"):
        read_image_folder(tmp_path / "missing")


def test_too_few_classes(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="two folders of classes are needed.*there is none"):
        read_image_folder(tmp_path)
    write(tmp_path, "a/1.png", "2.png")
    with pytest.raises(DatasetError, match="there is only a/. Put each class's images into a"):
        read_image_folder(tmp_path)


def test_a_class_without_images(one_part: Path) -> None:
    write(one_part, "dog/readme.txt")
    with pytest.raises(DatasetError, match=r"dog: a class without images\. Files .*\.gif.*\.jfif"):
        read_image_folder(one_part)


def test_a_class_with_one_image_cannot_be_split(one_part: Path) -> None:
    write(one_part, "dog/1.png")
    with pytest.raises(DatasetError, match="dog: a class with one image cannot be split into"):
        read_image_folder(one_part)


def test_parts_of_different_classes(two_parts: Path) -> None:
    write(two_parts, "train/c/1.png", "test/d/1.png")
    with pytest.raises(
        DatasetError, match="train/ and test/ have different classes; missing: test/c, train/d. Add"
    ):
        read_image_folder(two_parts)


def test_a_training_part_alone(two_parts: Path) -> None:
    (two_parts / "test").rename(two_parts / "train" / "c")
    with pytest.raises(DatasetError, match=r"none of test/, .*set scenario\.dataset_root=.*/train"):
        read_image_folder(two_parts)


def test_what_systems_leave_behind_is_passed_over(
    one_part: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = [part.keys for part in read_image_folder(one_part)]
    (one_part / "__MACOSX/ant").mkdir(parents=True)
    (one_part / "__MACOSX/ant/._0.png").write_bytes(b"\0\5\26\7")
    for name in ("ant/._0.png", "ant/Thumbs.db", "bee/.DS_Store", "bee/a.txt", "cow/b.raw"):
        (one_part / name).write_bytes(b"\0\5\26\7Mac")
    with caplog.at_level(logging.INFO):
        assert [part.keys for part in read_image_folder(one_part)] == expected
    said = [r.getMessage() for r in caplog.records if "suffix" in r.getMessage()]
    assert len(said) == 1
    assert "2 files are no images by their suffix and not read (" in said[0]


def test_classes_are_the_same_in_either_form_of_unicode(tmp_path: Path) -> None:
    names = [normalize(form, "café") for form in ("NFC", "NFD")]
    for part, name in zip(("train", "test"), names, strict=True):
        write(tmp_path, f"{part}/{name}/1.png", f"{part}/bus/1.png")
    train, test = read_image_folder(tmp_path)
    assert train.class_names == test.class_names == ("bus", names[0])
    write(tmp_path, f"train/{names[1]}/2.png")
    with pytest.raises(DatasetError, match=r"train: two folders are called café, with the accents"):
        read_image_folder(tmp_path)
