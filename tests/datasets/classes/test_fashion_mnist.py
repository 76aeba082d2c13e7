"""Fashion-MNIST's official files, in every place where they may lie, and broken ones."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision

from cliqa.datasets.classes import fashion_mnist
from cliqa.datasets.classes.fashion_files import FILES, RAW
from cliqa.datasets.classes.fashion_mnist import CLASS_NAMES, read_fashion_mnist, read_idx
from cliqa.demo_data.fashion import idx_bytes
from cliqa.utils.errors import DatasetError

COUNTS = {"train": 12, "test": 7}
TRAIN_IMAGES, TRAIN_LABELS = FILES["train"]


def write_raw(folder: Path) -> Path:
    """Write the four files with random images of the classes 0, 1, 2 ... 9, 0 ..."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for split, (image_file, label_file) in FILES.items():
        count = COUNTS[split]
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        (folder / image_file).write_bytes(idx_bytes(images))
        (folder / label_file).write_bytes(idx_bytes(np.arange(count, dtype=np.uint8) % 10))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_raw(tmp_path / RAW)
    return tmp_path


def test_it_reads_what_torchvision_reads(root: Path) -> None:
    for part, is_train in zip(read_fashion_mnist(root), (True, False), strict=True):
        theirs = torchvision.datasets.FashionMNIST(str(root), train=is_train)
        assert isinstance(part.inputs, torch.Tensor)
        assert part.inputs.dtype == torch.uint8
        assert torch.equal(part.inputs[:, 0], theirs.data)
        assert part.targets.tolist() == theirs.targets.tolist()
        assert part.class_names == tuple(theirs.classes)


def test_shapes_and_keys(root: Path) -> None:
    train, test = read_fashion_mnist(str(root))
    image, target = train[11]
    assert image.shape == (1, 28, 28)
    assert (target, train.keys[11], test.keys[-1]) == (1, "train/11", "test/6")
    assert (len(train), len(test)) == (12, 7)


@pytest.mark.parametrize("place", [".", "raw", RAW])
@pytest.mark.parametrize("packed", [False, True])
def test_every_place_is_found(place: str, packed: bool, root: Path, tmp_path: Path) -> None:
    expected = read_fashion_mnist(root)
    other = tmp_path / "other" / place
    shutil.copytree(root / RAW, other)
    for path in sorted(other.iterdir()) if packed else ():
        Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    for mine, part in zip(read_fashion_mnist(tmp_path / "other"), expected, strict=True):
        assert torch.equal(torch.as_tensor(mine.inputs), torch.as_tensor(part.inputs))
        assert mine.targets.tolist() == part.targets.tolist()


def test_nothing_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        read_fashion_mnist(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / RAW}: Fashion-MNIST needs train-images-idx3-ubyte, train-labels-idx1-ubyte, "
        "t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz), which are missing. "
        "Set scenario.download=True on a machine with a network, or write generated data with: "
        f"cliqa data fashion --out {tmp_path}"
    )


def test_one_file_missing_is_named(root: Path) -> None:
    (root / RAW / TRAIN_LABELS).unlink()
    with pytest.raises(
        DatasetError, match=r"raw: Fashion-MNIST needs train-labels-idx1-ubyte \(or"
    ):
        read_fashion_mnist(root)


def test_the_download_is_torchvisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    def fetch(root: str, **options: Any) -> None:
        calls.append(options)
        write_raw(Path(root) / RAW)

    monkeypatch.setattr(fashion_mnist, "FashionMNIST", fetch)
    assert len(read_fashion_mnist(tmp_path, download=True)[0]) == 12
    assert len(read_fashion_mnist(tmp_path, download=True)[0]) == 12  # it is there now
    assert calls == [{"train": True, "download": True}]


def test_a_download_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, *_: Any, **__: Any) -> None:
        raise URLError(f"no route to {url}")

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", refuse)
    with pytest.raises(
        DatasetError, match="the download of Fashion-MNIST failed .*no route"
    ) as error:
        read_fashion_mnist(tmp_path, download=True)
    assert len(str(error.value).splitlines()) == 1
    assert f"or write generated data with: cliqa data fashion --out {tmp_path}" in str(error.value)


def test_a_truncated_file_is_named(root: Path) -> None:
    path = root / RAW / TRAIN_IMAGES
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        DatasetError,
        match=r"images-idx3-ubyte: truncated or damaged: 9324 bytes .* promises 9424\. Delete",
    ):
        read_fashion_mnist(root)


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x08\x03", b"<html>not found</html>"])
def test_a_file_of_another_kind_is_named(root: Path, content: bytes) -> None:
    (root / RAW / TRAIN_IMAGES).write_bytes(content)
    with pytest.raises(DatasetError, match="idx3-ubyte: no idx file of bytes in 3 dimensions"):
        read_fashion_mnist(root)


@pytest.mark.parametrize(
    "damage", [b"no gzip", gzip.compress(bytes(1000), mtime=0)[:-9]], ids=["no gzip", "cut off"]
)
def test_a_damaged_packed_file_is_named(root: Path, damage: bytes) -> None:
    (root / RAW / TRAIN_LABELS).unlink()
    (root / RAW / f"{TRAIN_LABELS}.gz").write_bytes(damage)
    with pytest.raises(DatasetError, match=r"idx1-ubyte\.gz: cannot be read \(.*\)\. Delete it"):
        read_fashion_mnist(root)


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        (TRAIN_IMAGES, np.zeros((12, 32, 30)), "images of 30 x 32 pixels are not Fashion-MNIST's"),
        (TRAIN_IMAGES, np.zeros((11, 28, 28)), "holds 11 images and train-labels-idx1-ubyte 12 cl"),
        (TRAIN_LABELS, np.array([0, 1, 10] * 4), "labels-idx1-ubyte: class 10 of image 2 does not"),
    ],
)
def test_content_that_does_not_fit_is_named(
    root: Path, file: str, array: np.ndarray, message: str
) -> None:
    (root / RAW / file).write_bytes(idx_bytes(array.astype(np.uint8)))
    with pytest.raises(DatasetError, match=message):
        read_fashion_mnist(root)


def test_no_images_at_all(root: Path) -> None:
    for name, shape in zip(FILES["test"], ((0, 28, 28), (0,)), strict=True):
        (root / RAW / name).write_bytes(idx_bytes(np.zeros(shape, np.uint8)))
    with pytest.raises(DatasetError, match="holds 0 images and t10k-labels-idx1-ubyte 0 classes"):
        read_fashion_mnist(root)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_idx_round_trip(shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / "a").write_bytes(idx_bytes(array))
    found = read_idx(tmp_path / "a", len(shape))
    assert np.array_equal(found, array)
    assert found.flags.writeable  # torch shares its memory


def test_the_classes_are_the_official_ones() -> None:
    assert tuple(torchvision.datasets.FashionMNIST.classes) == CLASS_NAMES


def test_a_packed_file_that_swells_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fashion_mnist, "_LARGEST", 10_000)
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(10**6)))
    with pytest.raises(DatasetError, match=r"a\.gz: holds more than 10000 bytes"):
        read_idx(tmp_path / "a.gz", 1)


def test_lengths_that_overflow_are_no_lengths(tmp_path: Path) -> None:
    header = bytes((0, 0, 8, 3)) + b"\x80\0\0\0" * 3  # 2 ** 93 bytes, which is 0 in 64 bits
    (tmp_path / "a").write_bytes(header)
    with pytest.raises(DatasetError, match="16 bytes where its header promises 9903520314283042"):
        read_idx(tmp_path / "a", 3)
