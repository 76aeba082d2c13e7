"""A small data set in Fashion-MNIST's files: even classes, digits, a sprite's tiles."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.datasets.classes.fashion_files import FILES, RAW
from cliqa.datasets.classes.fashion_mnist import read_fashion_mnist
from cliqa.datasets.storage import MANIFEST
from cliqa.demo_data.fashion import FashionData, cut_sprite
from cliqa.registry import GENERATORS, build_component
from cliqa.utils.errors import ConfigError, DatasetError

SMALL = FashionData(train=25, test=14)


def pixels(part: ClassDataset) -> np.ndarray:
    """Return a part's images, (N, 28, 28)."""
    return torch.as_tensor(part.inputs)[:, 0].numpy()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("digits") / "fashion"
    SMALL.write(root)
    return root


@pytest.fixture(scope="module")
def sprite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sprite of noise, in the mode of the published one (RGBA)."""
    path = tmp_path_factory.mktemp("sprite") / "sprite.png"
    noise = np.random.default_rng(0).integers(0, 256, (840, 840), dtype=np.uint8)
    Image.fromarray(noise).convert("RGBA").save(path)
    return path


def test_the_files_are_torchvisions(digits: Path) -> None:
    assert {path.name for path in (digits / RAW).iterdir()} == {
        name for pair in FILES.values() for name in pair
    }
    for part, is_train in zip(read_fashion_mnist(digits), (True, False), strict=True):
        theirs = torchvision.datasets.FashionMNIST(str(digits), train=is_train)
        assert np.array_equal(pixels(part), theirs.data.numpy())
        assert part.targets.tolist() == theirs.targets.tolist()


def test_classes_are_even_and_mixed(digits: Path) -> None:
    for part, count in zip(read_fashion_mnist(digits), (25, 14), strict=True):
        assert len(part) == count
        sizes = Counter(part.targets.tolist())
        assert set(sizes) == set(range(10))
        assert max(sizes.values()) - min(sizes.values()) <= 1
        assert part.targets.tolist() != sorted(part.targets)


def test_no_image_occurs_twice(digits: Path) -> None:
    images = np.concatenate([pixels(part) for part in read_fashion_mnist(digits)])
    assert len(np.unique(images, axis=0)) == len(images) == 39


def test_every_digit_can_be_used(tmp_path: Path) -> None:
    FashionData(train=1600, test=140).write(tmp_path)
    images = np.concatenate([pixels(part) for part in read_fashion_mnist(tmp_path)])
    assert len(np.unique(images, axis=0)) == len(images) == 1740


def test_images_are_digits_of_their_class(digits: Path) -> None:
    train, _ = read_fashion_mnist(digits)
    known = load_digits()
    small = [np.asarray(Image.fromarray(image).resize((8, 8))) for image in pixels(train)]
    found = np.stack(small) / 255 * 16  # (N, 8, 8)
    gaps = np.abs(known.images[None] - found[:, None]).mean((2, 3))  # (N, 1797)
    assert gaps.min(1).max() < 1.5
    assert known.target[gaps.argmin(1)].tolist() == train.targets.tolist()


def test_the_seed_decides_and_nothing_else(digits: Path, tmp_path: Path) -> None:
    SMALL.write(tmp_path / "again")
    FashionData(train=25, test=14, seed=1).write(tmp_path / "other")
    expected, again, other = (
        [path.read_bytes() for path in sorted((root / RAW).iterdir())]
        for root in (digits, tmp_path / "again", tmp_path / "other")
    )
    assert again == expected
    assert all(mine != yours for mine, yours in zip(other, expected, strict=True))


def test_writing_again_changes_nothing(digits: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in digits.rglob("*")}
    SMALL.write(str(digits))
    assert before == {path: path.stat().st_mtime_ns for path in digits.rglob("*")}
    with pytest.raises(DatasetError, match="was generated with other arguments: seed=0, now 3"):
        FashionData(train=25, test=14, seed=3).write(digits)


def check_tiles(sprite: Path, root: Path) -> None:
    """Compare what is read from `root` with the sprite, tile by tile."""
    picture = np.asarray(Image.open(sprite).convert("L"))
    train, test = read_fashion_mnist(root)
    found = {"train": iter(zip(pixels(train), train.targets, strict=True))}
    found["test"] = iter(zip(pixels(test), test.targets, strict=True))
    for k in range(900):
        top, left = 28 * (k // 30), 28 * (k % 30)
        image, target = next(found["test" if k % 3 == 2 else "train"])
        assert target == k // 90
        assert np.array_equal(image, picture[top : top + 28, left : left + 28])
    assert (len(train), len(test)) == (600, 300)


def test_a_sprites_images_are_cut_out(sprite: Path, tmp_path: Path) -> None:
    FashionData(sprite=str(sprite)).write(tmp_path)
    check_tiles(sprite, tmp_path)


def test_the_real_sprite(shared_data: Path, tmp_path: Path) -> None:
    sprite = shared_data / "fashion-mnist-sprite.png"
    FashionData(sprite=str(sprite)).write(tmp_path)
    check_tiles(sprite, tmp_path)
    train, test = read_fashion_mnist(tmp_path)
    means = np.stack([pixels(train)[train.targets == k].mean(0) for k in range(10)])
    gaps = ((pixels(test)[:, None] - means[None]) ** 2).sum((2, 3))  # (N, K)
    assert (gaps.argmin(1) == test.targets).mean() > 0.6  # a shift by one tile would spoil it


def test_a_sprite_may_move_but_not_change(sprite: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(sprite.read_bytes())
    FashionData(sprite=str(sprite)).write(tmp_path / "out")
    FashionData(sprite=str(copy), seed=4).write(tmp_path / "out")  # a sprite knows no seed
    assert len(json.loads((tmp_path / "out" / MANIFEST).read_text())["arguments"]["sprite"]) == 64
    Image.new("L", (840, 840)).save(copy)
    with pytest.raises(DatasetError, match="was generated with other arguments: sprite="):
        FashionData(sprite=str(copy)).write(tmp_path / "out")


def test_a_wrong_sprite_is_named(sprite: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"sprite: .*none\.png cannot be read \(No such file"):
        FashionData(sprite=str(tmp_path / "none.png")).write(tmp_path / "out")
    path = tmp_path / "sprite.png"
    path.write_bytes(sprite.read_bytes()[:1000])
    with pytest.raises(DatasetError, match=r"sprite\.png: cannot be decoded"):
        FashionData(sprite=str(path)).write(tmp_path / "out")
    Image.new("L", (840, 420)).save(path)
    with pytest.raises(DatasetError, match="840 x 420 pixels. A sprite has 840 x 840"):
        cut_sprite(path)
    Image.new("RGB", (840, 840), (1, 2, 3)).save(path)
    with pytest.raises(DatasetError, match="the picture has colours"):
        cut_sprite(path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": 9}, "train must be a whole number >= 10, got 9"),
        ({"test": 30.0}, "test must be a whole number >= 10, got 30.0"),
        ({"train": 1601, "test": 140}, "there are 174 digits of each class, 1740 in all"),
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
        ({"seed": True}, "seed must be a whole number >= 0, got True"),
        (
            {"train": 500, "sprite": "a.png"},
            "train=500 does not go with a sprite, which has 600",
        ),
        ({"test": 301, "sprite": "a.png"}, "test=301 does not go with a sprite, which has 300"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FashionData(**arguments)


def test_a_config_finds_it_by_name() -> None:
    section = {"type": "FashionData", "train": 20}
    assert build_component(GENERATORS, section, "scenario.generate") == FashionData(train=20)
