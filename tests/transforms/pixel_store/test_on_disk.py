"""Images in a file: shared, found by later runs, thrown away when it cannot be trusted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cliqa.transforms.pixel_store import on_disk
from cliqa.transforms.pixel_store.on_disk import PixelFile, close_all

ROOM = 2**22


def image(level: int) -> Tensor:
    return torch.full((3, 4, 5), level, dtype=torch.uint8)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{k}.png" for k in range(4)]
    for path in paths:
        path.write_text("image")
    return [str(path) for path in paths]


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "cache" / "a.lmdb"
    close_all()


def test_an_image_is_found_again_by_a_later_run(path: Path, files: list[str]) -> None:
    store = PixelFile(path, ROOM, "recipe")
    assert store.get(files[0]) is None
    store.put(files[0], image(7))
    close_all(write=True)
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.lmdb", "a.lmdb-lock"]
    found = PixelFile(path, ROOM, "recipe").get(files[0])
    assert found is not None
    assert torch.equal(found, image(7))


def test_another_recipe_and_a_changed_file_are_other_images(path: Path, files: list[str]) -> None:
    store = PixelFile(path, ROOM, "recipe")
    store.put(files[0], image(7))
    assert PixelFile(path, ROOM, "other").get(files[0]) is None
    Path(files[0]).write_text("another")
    assert store.get(files[0]) is None
    store.put(files[1], image(1))
    os.utime(files[1], ns=(0, 0))
    assert store.get(files[1]) is None
    Path(files[2]).unlink()
    store.put(files[2], image(1))
    assert store.get(files[2]) is None


def test_other_processes_see_it_at_once(path: Path, files: list[str]) -> None:
    store = PixelFile(path, ROOM, "recipe")
    store.put(files[0], image(1))
    process = os.fork()
    if process == 0:
        found = store.get(files[0])
        store.put(files[1], image(2))
        os._exit(0 if found is not None and torch.equal(found, image(1)) else 1)
    assert os.waitpid(process, 0)[1] == 0
    found = store.get(files[1])
    assert found is not None
    assert torch.equal(found, image(2))


def test_a_killed_run_leaves_whole_images(path: Path, files: list[str]) -> None:
    code = (
        "import os, sys, torch; from pathlib import Path\n"
        "from cliqa.transforms.pixel_store.on_disk import PixelFile\n"
        f"store = PixelFile(Path({str(path)!r}), {ROOM}, 'recipe')\n"
        f"store.put({files[0]!r}, torch.ones(3, 4, 5, dtype=torch.uint8)); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    found = PixelFile(path, ROOM, "recipe").get(files[0])
    assert found is not None
    assert torch.equal(found, image(1))


def test_marks_go_when_the_process_ends_whoever_has_written(path: Path, files: list[str]) -> None:
    store = PixelFile(path, ROOM, "recipe")
    process = os.fork()
    if process == 0:
        store.put(files[0], image(2))
        os._exit(0)
    os.waitpid(process, 0)
    assert list(path.parent.glob(f"*{on_disk.MARK}*"))
    close_all(write=True)
    assert not list(path.parent.glob(f"*{on_disk.MARK}*"))


def test_the_locks_have_their_room_beforehand(
    path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(on_disk.os, "posix_fallocate", full)
    store = PixelFile(path, ROOM, "recipe")
    store.put(files[0], image(1))
    assert store.get(files[0]) is None
    assert caplog.text.count("keeps no more images") == 1
    assert "No space left" in caplog.text


def test_a_full_file_keeps_what_it_has_and_says_so_once(
    path: Path, files: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    store = PixelFile(path, 0, "recipe")
    store.put(files[0], image(1))
    large = torch.zeros(3, 3000, 3000, dtype=torch.uint8)
    for file in files[1:]:
        store.put(file, large)
    assert store.get(files[0]) is not None
    assert [store.get(file) for file in files[1:]] == [None] * 3
    assert caplog.text.count("keeps no more images") == 1


@pytest.mark.parametrize("damage", ["cut", "noise", "crash"])
def test_a_file_that_cannot_be_trusted_is_started_anew(
    path: Path, files: list[str], damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = PixelFile(path, ROOM, "recipe")
    for file in files:
        store.put(file, torch.zeros(3, 64, 64, dtype=torch.uint8))
    close_all(write=True)
    if damage == "cut":
        os.truncate(path, path.stat().st_size // 2)
    elif damage == "noise":
        path.write_bytes(b"noise" * 10000)
    else:
        path.with_name(f"{path.name}{on_disk.MARK}another-boot").touch()
    assert store.get(files[0]) is None
    assert "is not whole; its images are decoded again" in caplog.text
    store.put(files[0], image(3))
    found = store.get(files[0])
    assert found is not None
    assert torch.equal(found, image(3))


def test_a_value_that_is_no_image_is_none(path: Path, files: list[str]) -> None:
    store = PixelFile(path, ROOM, "recipe")
    store.put(files[0], image(1))
    key = store._key(files[0])
    wrong = on_disk.SHAPE.pack(3, 4, 5, 60) + bytes([1] * 59 + [2])
    for value in (b"", b"short", on_disk.SHAPE.pack(3, 4, 5, 0) + b"too few", wrong):
        with store._environment().begin(write=True) as transaction:
            transaction.put(key, value)
        assert store.get(files[0]) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="everything may be written")
def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, files: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    store = PixelFile(folder / "a.lmdb", ROOM, "recipe")
    store.put(files[0], image(1))
    assert store.get(files[0]) is None
    assert "keeps no more images" in caplog.text


def test_a_file_in_the_folders_place_is_told(
    tmp_path: Path, files: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    store = PixelFile(tmp_path / "file" / "a.lmdb", ROOM, "recipe")
    store.put(files[0], image(1))
    assert store.get(files[0]) is None
    assert caplog.text.count("keeps no more images") == 1
