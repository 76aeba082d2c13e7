"""CIFAR's official batches: read as torchvision reads them, and only if they are the real ones."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from torchvision.datasets import CIFAR10, CIFAR100

from cliqa.datasets.classes.cifar import read_cifar10, read_cifar100
from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.utils.errors import DatasetError

Read = Callable[..., tuple[ClassDataset, ClassDataset]]

SOURCES = {
    "10": (read_cifar10, CIFAR10, "labels", "label_names", 10),
    "100": (read_cifar100, CIFAR100, "fine_labels", "fine_label_names", 100),
}


def write_batches(root: Path, kind: str) -> dict[str, bytes]:
    """Write five images a file in the official layout and return the files' contents."""
    _, source, labels, names, classes = SOURCES[kind]
    random = np.random.default_rng(0)
    contents = {}
    for file, _ in (*source.train_list, *source.test_list):
        data = random.integers(0, 256, (5, 3072), dtype=np.uint8)
        targets = random.integers(0, classes, 5).tolist()
        contents[file] = pickle.dumps({"data": data, labels: targets})
    contents[source.meta["filename"]] = pickle.dumps({names: [f"c{k}" for k in range(classes)]})
    for file, content in contents.items():
        path = root / source.base_folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return contents


def make_official(kind: str, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision take these contents for the published ones."""
    source = SOURCES[kind][1]

    def sums(pairs: list[list[str]]) -> list[list[str]]:
        return [[file, hashlib.md5(contents[file]).hexdigest()] for file, _ in pairs]

    monkeypatch.setattr(source, "train_list", sums(source.train_list))
    monkeypatch.setattr(source, "test_list", sums(source.test_list))
    md5 = hashlib.md5(contents[source.meta["filename"]]).hexdigest()
    monkeypatch.setattr(source, "meta", {**source.meta, "md5": md5})


@pytest.fixture(params=["10", "100"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def read(kind: str) -> Read:
    return SOURCES[kind][0]


@pytest.fixture
def root(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_official(kind, write_batches(tmp_path, kind), monkeypatch)
    return tmp_path


def test_it_reads_what_torchvision_reads(kind: str, read: Read, root: Path) -> None:
    source, classes = SOURCES[kind][1], SOURCES[kind][4]
    for part, split in zip(read(root), ("train", "test"), strict=True):
        theirs = source(str(root), train=split == "train")
        assert isinstance(part.inputs, torch.Tensor)
        assert part.inputs.dtype == torch.uint8
        assert np.array_equal(part.inputs.permute(0, 2, 3, 1).numpy(), theirs.data)
        assert part.targets.tolist() == theirs.targets
        assert part.class_names == tuple(f"c{k}" for k in range(classes))
        assert part.keys[:2] == (f"{split}/0", f"{split}/1")


def test_the_batches_folder_itself_may_be_named(kind: str, read: Read, root: Path) -> None:
    train, _ = read(root / SOURCES[kind][1].base_folder)
    assert len(train) == {"10": 25, "100": 5}[kind]
    assert train[0][0].shape == (3, 32, 32)


def test_nothing_there_says_what_to_do(kind: str, read: Read, tmp_path: Path) -> None:
    source = SOURCES[kind][1]
    first = tmp_path / source.base_folder / source.train_list[0][0]
    with pytest.raises(DatasetError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        f"{first} is missing: CIFAR-{kind} is not "
        "complete. Set scenario.download=True on a machine with a network, or unpack the official "
        f"{source.filename} in {tmp_path}."
    )


def test_names_of_the_classes_missing(kind: str, read: Read, root: Path) -> None:
    source = SOURCES[kind][1]
    (root / source.base_folder / source.meta["filename"]).unlink()
    with pytest.raises(DatasetError, match=f"{source.meta['filename']} is missing"):
        read(root)


class Trap:
    """What a pickle that runs code holds."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (pytest.fail, ("a file that is not the official one was unpickled",))


def test_a_foreign_pickle_is_never_opened(kind: str, read: Read, root: Path) -> None:
    source = SOURCES[kind][1]
    for file in (source.test_list[0][0], source.meta["filename"]):
        path = root / source.base_folder / file
        content = path.read_bytes()
        path.write_bytes(pickle.dumps({"data": Trap()}))
        with pytest.raises(DatasetError, match=rf"{file} is not the official file \(its MD5 sum"):
            read(root)
        path.write_bytes(content)


def test_the_download_is_torchvisions(
    kind: str, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SOURCES[kind][1]
    make_official(kind, write_batches(tmp_path / "original", kind), monkeypatch)
    calls = []

    def fetch(url: str, root: str, **_: Any) -> None:
        calls.append(url)
        write_batches(Path(root), kind)

    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", fetch)
    assert len(read(tmp_path / "new", download=True)[1]) == 5
    assert len(read(tmp_path / "new", download=True)[1]) == 5  # it is there now
    assert calls == [source.url]


def test_a_download_without_a_network(
    kind: str, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", refuse)
    advice = f"or unpack the official {SOURCES[kind][1].filename} in"
    with pytest.raises(
        DatasetError, match=f"the download of CIFAR-{kind} failed .*{advice}"
    ) as error:
        read(tmp_path, download=True)
    assert len(str(error.value).splitlines()) == 1


class OldArray:
    """What a numpy of 2.4.0 warns of while it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str, type[Warning]]]:
        return (warnings.warn, ("align=0", np.exceptions.VisibleDeprecationWarning))


def test_what_old_numpy_wrote_is_read_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = write_batches(tmp_path, "10")
    for file, _ in (*CIFAR10.train_list, *CIFAR10.test_list):
        entry = {**pickle.loads(contents[file]), "old": OldArray()}
        contents[file] = pickle.dumps(entry)
        (tmp_path / CIFAR10.base_folder / file).write_bytes(contents[file])
    make_official("10", contents, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_cifar10(tmp_path)[0]) == 25
