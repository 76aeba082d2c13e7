"""Both layouts under both protocols: which images, in which order, with which classes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.datasets.classes.class_dataset import ClassDataset, ImageFiles
from cliqa.datasets.clear.fewshot import get_fewshot_indices
from cliqa.datasets.clear.prepare import prepare
from cliqa.datasets.clear.read import read_clear
from cliqa.utils.errors import ConfigError

IID: dict[str, Any] = {"evaluation_protocol": "iid", "seed": 0}
LAYOUTS = ("old", "new")


def numbers(data: ClassDataset) -> list[int]:
    """Return the images' ids."""
    return [int(Path(key).stem) for key in data.keys]


def listed(root: Path, part: str, bucket: str) -> list[str]:
    """Return the images of one part of the new layout: by class, in the order of the files."""
    return [
        f"{part}/{record['IMG_PATH']}"
        for name in ("dress", "bus", "camera")
        for record in json.loads(
            (root / part / f"labeled_metadata/{bucket}/{name}.json").read_text()
        ).values()
    ]


def test_a_stream_is_all_images_in_the_order_of_the_list(old_tree: Path) -> None:
    splits = read_clear(old_tree)
    assert (splits.layout, splits.buckets) == ("old", ("1", "2", "10"))
    assert splits.class_names == ("dress", "bus", "camera")
    assert splits.notes == ()
    for bucket, train, test in zip(splits.buckets, splits.train, splits.test, strict=True):
        path = old_tree / f"training_folder/filelists/{bucket}/all.txt"
        lines = [line.split(" ") for line in path.read_text().splitlines()]
        assert train is test
        assert train.keys == tuple(image for image, _ in lines)
        assert train.targets.tolist() == [int(target) for _, target in lines]
        assert train.class_names == splits.class_names


def test_a_stream_of_the_new_layout_is_the_test_then_the_training_part(new_tree: Path) -> None:
    splits = read_clear(new_tree)
    assert (splits.layout, splits.buckets) == ("new", ("1", "2", "10"))
    for bucket, train, test in zip(splits.buckets, splits.train, splits.test, strict=True):
        assert train is test
        expected = listed(new_tree, "test", bucket) + listed(new_tree, "train", bucket)
        assert train.keys == tuple(expected)
        assert train.targets.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [0] * 8 + [1] * 8 + [2] * 8


def test_the_new_layout_has_one_split(new_tree: Path) -> None:
    splits = read_clear(new_tree, evaluation_protocol="iid")
    for bucket, train, test in zip(splits.buckets, splits.train, splits.test, strict=True):
        assert train.keys == tuple(listed(new_tree, "train", bucket))
        assert test.keys == tuple(listed(new_tree, "test", bucket))
    assert splits.notes == ()
    seeded = read_clear(new_tree, evaluation_protocol="iid", seed=77)
    assert seeded.notes == ("seed 77 selects no split (this layout has one), but nothing",)
    assert [data.keys for data in seeded.train] == [data.keys for data in splits.train]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_are_those_of_the_files(layout: str, request: pytest.FixtureRequest) -> None:
    root: Path = request.getfixturevalue(f"{layout}_tree")
    data = read_clear(root, **IID).test[1]
    image, target = data[2]
    assert image.dtype == torch.uint8
    assert image.shape == (3, 6, 8)
    assert target == data.targets[2]
    inputs = data.inputs
    assert isinstance(inputs, ImageFiles)
    assert inputs.paths[2] == f"{root}/{data.keys[2]}"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "options", [{}, IID, {**IID, "seed": 4}, {**IID, "seed": 1, "shot": 2}], ids=str
)
def test_features_are_of_the_same_samples_as_images(
    copy_of: Callable[[str], Path], layout: str, options: dict[str, Any]
) -> None:
    root = copy_of(layout)
    get_fewshot_indices(root, 2, 1)
    images = read_clear(root, **options)
    features = read_clear(root, feature_type="moco_b0", **options)
    for own, other in zip(images.train + images.test, features.train + features.test, strict=True):
        assert own.keys == other.keys
        assert np.array_equal(own.targets, other.targets)
        assert other.has_features
        assert isinstance(other.inputs, torch.Tensor)
        assert other.inputs.dtype == torch.float32
        assert other.inputs[:, 2].tolist() == numbers(own)
        assert other.inputs[:, 1].tolist() == own.targets.tolist()
    assert [int(data[0][0][0]) for data in features.test] == [1, 2, 10]
    assert images.notes == features.notes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_few_shots_are_drawn_from_the_training_split(
    copy_of: Callable[[str], Path], layout: str
) -> None:
    root = copy_of(layout)
    assert get_fewshot_indices(root, 2, 0) == []
    few, iid = read_clear(root, **IID, shot=2), read_clear(root, **IID)
    for own, whole, test, tested in zip(few.train, iid.train, few.test, iid.test, strict=True):
        assert np.bincount(own.targets).tolist() == [2, 2, 2]
        assert set(own.keys) < set(whole.keys)
        assert test.keys == tested.keys
        assert not set(own.keys) & set(test.keys)


def test_a_class_with_fewer_images_than_shots_is_noted(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("new")
    get_fewshot_indices(root, 9, 0)
    notes = read_clear(root, **IID, shot=9).notes
    assert notes[:3] == tuple(
        f"bucket {bucket}: fewer than 9 images of dress (8), bus (8), camera (8)"
        for bucket in (1, 2, 10)
    )
    assert len(notes) == 4  # the last one is about the seed


def test_buckets_are_chosen_and_stay_in_the_order_of_time(old_tree: Path) -> None:
    whole, some = read_clear(old_tree), read_clear(old_tree, buckets=["10", 1])
    assert some.buckets == ("1", "10")
    assert [data.keys for data in some.train] == [whole.train[0].keys, whole.train[2].keys]


def test_the_name_does_not_decide_the_layout(old_tree: Path, new_tree: Path) -> None:
    for name in ("clear10", "clear100", "clear10_neurips2021", "clear100_cvpr2022"):
        assert read_clear(old_tree, data_name=name).layout == "old"
        assert read_clear(new_tree, data_name=name).layout == "new"


def test_class_names_may_hold_spaces_and_letters_of_all_scripts(
    written_tree: Callable[..., Path],
) -> None:
    root = written_tree(classes=("evening dress", "Bücher 本"))
    prepare(root)
    get_fewshot_indices(root, 1, 0)
    for options in ({}, IID, {**IID, "shot": 1}, {"feature_type": "moco_b0"}):
        data = read_clear(root, **options).train[0]
        for key, target in zip(data.keys, data.targets, strict=True):
            assert key.split("/")[2] == data.class_names[target]
    assert read_clear(root).train[0][15][0].shape == (3, 6, 8)


def test_features_need_no_images(copy_of: Callable[[str], Path]) -> None:
    for layout in LAYOUTS:
        root = copy_of(layout)
        for folder in root.rglob("labeled_images"):
            shutil.rmtree(folder)
        assert len(read_clear(root, **IID, feature_type="moco_b0").train) == 3


def test_an_id_in_two_buckets_is_noted(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    (root / "labeled_images/2/bus/1007.jpg").write_bytes(
        (root / "labeled_images/1/dress/1007.jpg").read_bytes()
    )
    with (root / "training_folder/filelists/2/all.txt").open("a") as file:
        file.write("labeled_images/2/bus/1007.jpg 1\n")
    notes = read_clear(root).notes
    assert notes == ("1 image ids are in several buckets, e.g. 1007 in buckets 1 and 2",)
    assert read_clear(root, buckets=[2, 10]).notes == ()


def test_an_id_in_two_classes_of_a_list_is_noted(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    (root / "labeled_images/1/bus/1007.jpg").write_bytes(b"")
    with (root / "training_folder/filelists/1/all.txt").open("a") as file:
        file.write("labeled_images/1/bus/1007.jpg 1\n")
    assert read_clear(root).notes == ("1 image ids are in several classes, e.g. 1007 in bucket 1",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_name": "clear1O"}, r"scenario\.data_name: unknown .* Did you mean 'clear10'"),
        ({"evaluation_protocol": "stream"}, r"unknown protocol 'stream'.*Did you mean 'streaming'"),
        ({"seed": 0}, r"scenario\.seed=0: the streaming protocol .*Set scenario\.seed=None"),
        ({"shot": 5}, r"scenario\.shot=5: the streaming protocol"),
        ({"evaluation_protocol": "iid"}, r"scenario\.seed=None: .* needs the seed of a split, 0"),
        ({**IID, "seed": 5}, r"scenario\.seed=5: the i\.i\.d\. protocol needs .* 0\.\.4"),
        ({**IID, "seed": True}, "seed must be a whole number >= 0 or None, got True"),
        ({**IID, "seed": "0"}, "seed must be a whole number >= 0 or None, got '0'"),
        ({**IID, "shot": 0}, "shot must be a whole number >= 1 or None, got 0"),
        ({**IID, "seed": None, "shot": 1}, r"shot=1: .* drawn with a seed. Set scenario\.seed=0"),
        ({"buckets": [3]}, r"scenario\.buckets: there is no bucket 3\. There are 1, 2, 10"),
        ({"feature_type": "moco"}, r"no features 'moco'\. There are moco_b0\. Write it with"),
    ],
)
def test_wrong_options_are_refused(old_tree: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_clear(old_tree, **options)
