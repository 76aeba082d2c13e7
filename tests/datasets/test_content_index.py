"""Digests of files that are remembered between runs."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from cliqa.datasets import content_index
from cliqa.datasets.content_index import FILE_NAME, open_index
from cliqa.utils.errors import DatasetError

READ: list[str] = []


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache folder of this test, and note which files are read."""
    READ.clear()
    digest = content_index.sha256_of

    def noted(file: str) -> str:
        READ.append(Path(file).name)
        return digest(file)

    monkeypatch.setattr(content_index, "sha256_of", noted)
    monkeypatch.setenv("CLIQA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def image(folder: Path, name: str, content: bytes, age: float = 100.0) -> str:
    path = folder / name
    path.write_bytes(content)
    changed = path.stat().st_mtime - age
    os.utime(path, (changed, changed))
    return str(path)


def digests(*files: str) -> list[bytes]:
    with open_index() as index:
        return [index.sha256(file) for file in files]


def test_a_file_is_read_once(tmp_path: Path) -> None:
    files = [image(tmp_path, "a.jpg", b"one"), image(tmp_path, os.fsdecode(b"caf\xe9.jpg"), b"two")]
    expected = [hashlib.sha256(content).digest() for content in (b"one", b"two")]
    assert [digests(*files), digests(*files)] == [expected, expected]
    assert len(READ) == 2


@pytest.mark.parametrize("change", ["content", "time", "inode"])
def test_a_file_that_has_changed_is_read_again(tmp_path: Path, change: str) -> None:
    file = image(tmp_path, "a.jpg", b"one")
    digests(file)
    before = os.stat(file)
    if change == "content":
        image(tmp_path, "a.jpg", b"other")
    elif change == "time":
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    else:
        os.replace(image(tmp_path, "b.jpg", b"two"), file)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digests(file) == [hashlib.sha256(Path(file).read_bytes()).digest()]
    assert len(READ) == 2


def test_a_file_of_this_moment_is_not_remembered(tmp_path: Path) -> None:
    file = image(tmp_path, "a.jpg", b"one", age=0)
    assert digests(file) == digests(file)
    assert len(READ) == 2


def test_a_damaged_index_is_left_alone_and_told(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = image(tmp_path, "a.jpg", b"one")
    digests(file)
    (cache / FILE_NAME).write_bytes(b"no database" * 400)
    assert digests(file, file) == [hashlib.sha256(b"one").digest()] * 2
    told = [record.message for record in caplog.records]
    assert len(told) == 1
    assert f"{FILE_NAME}: not used (file is not a database)" in told[0]


def test_entries_of_another_form_do_not_count(tmp_path: Path, cache: Path) -> None:
    file = image(tmp_path, "a.jpg", b"one")
    digests(file)
    with sqlite3.connect(cache / FILE_NAME) as database:
        database.execute("UPDATE contents SET digest = 'short'")
    database.close()
    assert digests(file) == [hashlib.sha256(b"one").digest()]


def test_a_folder_that_cannot_be_made_costs_the_reading_alone(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write_text("a file")
    file = image(tmp_path, "a.jpg", b"one")
    assert digests(file) == [hashlib.sha256(b"one").digest()]
    assert "not used" in caplog.text


def test_the_oldest_entries_go(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_index, "MOST", 3)
    files = [image(tmp_path, f"{k}.jpg", b"x" * k) for k in range(5)]
    digests(*files)
    with sqlite3.connect(cache / FILE_NAME) as database:
        rows = database.execute("SELECT path FROM contents").fetchall()
        kept = [Path(os.fsdecode(path)).name for (path,) in rows]
    database.close()
    assert sorted(kept) == ["2.jpg", "3.jpg", "4.jpg"]


def test_runs_at_the_same_time_share_it(tmp_path: Path) -> None:
    first, second = image(tmp_path, "a.jpg", b"one"), image(tmp_path, "b.jpg", b"two")
    with open_index() as one, open_index() as other:
        one.sha256(first)
        other.sha256(second)
        one.write()
        other.write()
    digests(first, second)
    assert len(READ) == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone\.jpg: cannot be read"):
        digests(str(tmp_path / "gone.jpg"))
