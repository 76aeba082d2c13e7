"""Class-incremental streams: which classes are learnt when, and that no sample is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cliqa.benchmarks.split_classes import (
    PublishedSplit,
    SplitCIFAR10,
    SplitCIFAR100,
    SplitClasses,
    SplitFashionMNIST,
    SplitFolder,
    class_order,
    group_classes,
)
from cliqa.datasets.classes.cifar import read_cifar10, read_cifar100
from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.datasets.classes.fashion_mnist import CLASS_NAMES, read_fashion_mnist
from cliqa.registry import SCENARIOS
from cliqa.training.loop.loaders.image_loader import make_loader
from cliqa.utils.errors import ConfigError, DatasetError

Part = tuple[ClassDataset, ClassDataset]


def scale(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 255


def flip(image: torch.Tensor) -> torch.Tensor:
    return scale(image).flip(-1)


def made(classes: int, per_class: int = 4, channels: int = 3) -> Part:
    """Return training and test images of some classes, in a shuffled order."""
    splits = []
    for split, count in (("train", classes * per_class), ("test", classes * 2)):
        generator = torch.Generator().manual_seed(count)
        images = torch.randint(0, 256, (count, channels, 4, 4), generator=generator)
        targets = torch.randperm(count, generator=generator) % classes
        names = [f"class {k}" for k in range(classes)]
        keys = [f"{split}/{k}" for k in range(count)]
        splits.append(ClassDataset(images.to(torch.uint8), targets.numpy(), names, keys))
    return splits[0], splits[1]


def split(classes: int = 10, n_experiences: int = 5, **options: Any) -> SplitClasses:
    return SplitClasses(made(classes), flip, scale, n_experiences, **options)


def classes_of(stream: SplitClasses) -> list[list[int]]:
    """Return the classes that the training samples of each experience have."""
    return [sorted({int(t) for t in e.dataset.targets}) for e in stream.train_stream]


def assert_whole(stream: SplitClasses, data: Part) -> None:
    """Check that the experiences' samples are those of the data set, each once."""
    for kind, whole in zip(("train", "test"), data, strict=True):
        parts = [stream.sources[name, kind] for name in stream.names]
        found = {
            key: int(target)
            for part in parts
            for key, target in zip(part.keys, part.targets, strict=True)
        }
        assert sum(map(len, parts)) == len(whole)
        assert found == dict(zip(whole.keys, whole.targets.tolist(), strict=True))
        for part in parts:  # in the data set's order
            places = [whole.keys.index(key) for key in part.keys]
            assert places == sorted(places)


def test_all_experiences_together_are_the_data_set() -> None:
    stream = split()
    assert_whole(stream, made(10))
    assert classes_of(stream) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    for train, test in zip(stream.train_stream, stream.test_stream, strict=True):
        assert train.classes_in_this_experience == test.classes_in_this_experience


def test_labels_stay_those_of_the_data_set() -> None:
    data = made(4)
    stream = SplitClasses(data, flip, scale, 2, fixed_class_order=[3, 0, 2, 1])
    for kind, whole, transform in (("train", data[0], flip), ("test", data[1], scale)):
        for experience in stream.streams[kind]:
            source = stream.sources[experience.name, kind]
            for k, (image, target, task) in enumerate(experience.dataset):
                place = whole.keys.index(source.keys[k])
                expected, label = whole[place]
                assert torch.equal(image, transform(expected))
                assert (target, task) == (label, 0)


def test_classes_are_learnt_in_the_order_given() -> None:
    order = [7, 2, 9, 0, 4, 5, 1, 3, 8, 6]
    stream = split(fixed_class_order=order)
    assert stream.classes_order == order
    assert stream.classes_of == [(7, 2), (9, 0), (4, 5), (1, 3), (8, 6)]
    assert stream.names == ["7+2", "9+0", "4+5", "1+3", "8+6"]
    assert classes_of(stream) == [sorted(group) for group in stream.classes_of]
    assert stream.train_stream[1].previous_classes == [2, 7]
    assert stream.train_stream[1].future_classes == [1, 3, 4, 5, 6, 8]
    assert_whole(stream, made(10))


def test_a_seed_shuffles_the_classes() -> None:
    orders = [split(seed=seed).classes_order for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    for order in orders:
        assert sorted(order) == list(range(10)) != order
    stream = split(seed=1)
    assert [c for group in stream.classes_of or () for c in group] == orders[2]


def test_an_order_names_every_class_once() -> None:
    assert class_order(3, None, None) == [0, 1, 2]
    assert class_order(3, (2, 0, 1), None) == [2, 0, 1]
    for wrong in ([0, 1], [0, 1, 1], [1, 2, 3], [0, 1, 2, 3]):
        with pytest.raises(ConfigError, match=r"each of the classes 0\.\.2 exactly once, got"):
            class_order(3, wrong, None)


def test_an_order_and_a_seed_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="fixed_class_order and seed both set the order"):
        split(fixed_class_order=list(range(10)), seed=0)


@pytest.mark.parametrize("classes", [1, 5, 10, 11])
def test_groups_differ_in_size_by_one_at_most(classes: int) -> None:
    for n in range(1, classes + 1):
        groups = group_classes(range(classes), n)
        sizes = [len(group) for group in groups]
        assert len(groups) == n
        assert [c for group in groups for c in group] == list(range(classes))
        assert max(sizes) - min(sizes) <= 1
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("n", [0, -1, 11])
def test_there_are_as_many_experiences_as_classes_at_most(n: int) -> None:
    message = rf"scenario\.n_experiences={n}: 10 classes make 1 to 10 experiences"
    with pytest.raises(ConfigError, match=message):
        split(n_experiences=n)


@pytest.mark.parametrize("n", [2.0, "2", True, None])
def test_the_number_of_experiences_is_an_integer(n: Any) -> None:
    with pytest.raises(ConfigError, match=r"scenario\.n_experiences: expected an integer, got"):
        split(n_experiences=n)


@pytest.mark.parametrize(
    ("n", "names"),
    [
        (10, [str(k) for k in range(10)]),
        (4, ["0+1+2", "3+4+5", "6+7", "8+9"]),
        (3, ["step-1", "step-2", "step-3"]),
        (1, ["step-1"]),
    ],
)
def test_experiences_are_called_by_their_classes_or_their_number(n: int, names: list[str]) -> None:
    assert split(n_experiences=n).names == names


def test_options_reach_the_stream() -> None:
    stream = split(task_labels=True, val_fraction=0.25)
    for k, experience in enumerate(stream.train_stream):
        assert experience.task_labels == [k]
        assert experience.dataset[0][2] == k
        assert [len(experience.dataset), len(stream.validation(k) or ())] == [6, 2]
    assert split().validation(0) is None
    assert not split().ahead_only


def test_a_class_without_samples_is_refused() -> None:
    train, test = made(4)
    few = train.select([k for k, target in enumerate(train.targets) if target < 3])
    with pytest.raises(DatasetError, match="experience 3 has no train samples"):
        SplitClasses((few, test), flip, scale, 4)


def test_fashion_mnist_over_its_official_files(fashion_root: Path) -> None:
    stream = SplitFashionMNIST(fashion_root, flip, scale)
    assert_whole(stream, read_fashion_mnist(fashion_root))
    assert stream.names == ["0+1", "2+3", "4+5", "6+7", "8+9"]
    assert (stream.class_names, stream.channels) == (CLASS_NAMES, 1)
    assert [len(experience.dataset) for experience in stream.train_stream] == [24] * 5
    assert [len(experience.dataset) for experience in stream.test_stream] == [12] * 5
    assert stream.train_stream[0].dataset[0][0].shape == (1, 28, 28)
    ten = SplitFashionMNIST(fashion_root, flip, scale, n_experiences=10, seed=3, task_labels=True)
    assert len(ten.train_stream) == 10
    assert ten.classes_order == split(seed=3).classes_order


def test_fashion_mnist_names_the_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"needs train-images-idx3-ubyte, .*which are missing"):
        SplitFashionMNIST(tmp_path, flip, scale)


@pytest.mark.parametrize(
    ("source", "classes", "sizes"), [(SplitCIFAR10, 10, [2] * 5), (SplitCIFAR100, 100, [10] * 10)]
)
def test_cifar_has_its_usual_number_of_experiences(
    source: type[PublishedSplit],
    classes: int,
    sizes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Any, ...]] = []

    def read(*arguments: Any) -> Part:
        asked.append(arguments)
        return made(classes)

    monkeypatch.setattr(source, "read", staticmethod(read))
    stream = source("somewhere", flip, scale)
    assert stream.n_classes_per_exp == sizes == [len(found) for found in classes_of(stream)]
    assert_whole(stream, made(classes))
    other = source("somewhere", flip, scale, n_experiences=2, download=True)
    assert len(other.train_stream) == 2
    assert asked == [("somewhere", False), ("somewhere", True)]


def test_published_data_sets_are_read_by_their_readers() -> None:
    for source, reader in (
        (SplitFashionMNIST, read_fashion_mnist),
        (SplitCIFAR10, read_cifar10),
        (SplitCIFAR100, read_cifar100),
    ):
        assert source.read is reader
        assert SCENARIOS.get(source.__name__) is source
    with pytest.raises(NotImplementedError):
        PublishedSplit("somewhere", flip, scale)


def write_folder(root: Path, parts: Sequence[str], counts: Sequence[int]) -> None:
    """Write images of 6 x 5 pixels into a folder per class, in each of some parts."""
    for part in parts:
        for place, count in enumerate(counts):
            folder = root / part / "abcd"[place]
            folder.mkdir(parents=True)
            for k in range(count):
                Image.new("RGB", (6, 5), (60 * place, k, 0)).save(folder / f"{k}.png")


def test_a_folder_of_images_is_split_by_its_classes(tmp_path: Path) -> None:
    write_folder(tmp_path, [""], [5, 10, 5, 10])
    stream = SplitFolder(tmp_path, flip, scale, n_experiences=2, fixed_class_order=[1, 3, 0, 2])
    assert stream.class_names == ("a", "b", "c", "d")
    assert stream.names == ["1+3", "0+2"]
    assert [len(experience.dataset) for experience in stream.train_stream] == [16, 8]
    assert [len(experience.dataset) for experience in stream.test_stream] == [4, 2]
    assert stream.channels == 3
    image, target, _ = stream.test_stream[0].dataset[0]
    assert image.shape == (3, 5, 6)
    assert round(float(image[0, 0, 0]) * 255) == 60 * target
    keys = [
        {key for name in stream.names for key in stream.sources[name, kind].keys}
        for kind in ("train", "test")
    ]
    assert not keys[0] & keys[1]
    assert len(keys[0] | keys[1]) == 30


def test_a_folders_own_test_part_is_kept(tmp_path: Path) -> None:
    write_folder(tmp_path, ["train", "test"], [3, 3])
    stream = SplitFolder(tmp_path, flip, scale, n_experiences=2, val_fraction=0.34)
    for name in stream.names:
        assert all(key.startswith("test/") for key in stream.sources[name, "test"].keys)
        assert [len(stream.sources[name, kind]) for kind in ("train", "val", "test")] == [2, 1, 3]


def test_the_split_of_a_folder_has_a_share_and_a_seed(tmp_path: Path) -> None:
    write_folder(tmp_path, [""], [10, 10])

    def tested(**options: Any) -> list[tuple[str, ...]]:
        stream = SplitFolder(tmp_path, flip, scale, 2, **options)
        return [stream.sources[name, "test"].keys for name in stream.names]

    assert [len(part) for part in tested()] == [2, 2]
    assert [len(part) for part in tested(test_fraction=0.5)] == [5, 5]
    assert tested(test_fraction=0.5) != tested(test_fraction=0.5, split_seed=1)


def test_an_image_in_the_cache_is_read_once(tmp_path: Path) -> None:
    write_folder(tmp_path, [""], [2, 2])
    cached, plain = (SplitFolder(tmp_path, flip, scale, 2, cache=cache) for cache in ("ram", False))
    kept, read = (
        make_loader(stream.train_stream[0].dataset.eval(), 1, train=False)
        for stream in (cached, plain)
    )
    first = next(iter(kept))[0]
    next(iter(read))
    for path in tmp_path.rglob("*.png"):
        path.unlink()
    assert torch.equal(next(iter(kept))[0], first)
    with pytest.raises(DatasetError, match="no such image file"):
        next(iter(read))
