"""Where images go: told beforehand, and never more than there is room for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cliqa.transforms.pipeline import build_pipeline
from cliqa.transforms.pixel_store import choose
from cliqa.transforms.pixel_store.choose import Part, PixelCache, check_cache
from cliqa.transforms.pixel_store.on_disk import PixelFile, close_all
from cliqa.utils.errors import ConfigError

ONE = 3 * 10 * 10
"""Bytes of an image."""


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Part:
    monkeypatch.setenv("CLIQA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(choose, "ROOM", 10)
    files = [tmp_path / f"{k}.png" for k in range(20)]
    for file in files:
        Image.new("RGB", (10, 10)).save(file)
    return Part("a", [str(file) for file in files], build_pipeline([], "x"))


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_room(memory: int, disk: int) -> None:
        monkeypatch.setattr(choose, "available_memory", lambda: memory)
        monkeypatch.setattr(choose, "free_space", lambda _: disk)

    return set_room


PIXELS = torch.ones(3, 10, 10, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("mode", "memory", "disk", "kind"),
    [
        ("auto", 100 * ONE, 10**9, "ram"),
        ("auto", 80 * ONE, 10**9, "disk"),
        ("auto", 80 * ONE, 80 * ONE, None),
        ("ram", 25 * ONE, 0, "ram"),
        ("disk", 0, 25 * ONE, "disk"),
        ("disk", 10**9, 10, None),
        (False, 10**9, 10**9, None),
    ],
)
def test_they_go_where_there_is_room(
    part: Part, room: Any, mode: Any, memory: int, disk: int, kind: str | None
) -> None:
    room(memory, disk)
    cache = PixelCache(mode, [part])
    assert cache.kind == kind
    store = cache.store(part)
    assert (store is None) == (kind is None)
    if store is not None:
        store.put(part.files[0], PIXELS)
        assert torch.equal(store.get(part.files[0]), PIXELS)  # type: ignore[arg-type]
    close_all()


def test_it_is_told(part: Part, room: Any, tmp_path: Path) -> None:
    room(10**9, 10**9)
    kept = "about 6.0 kB once decoded and resized"
    assert PixelCache("auto", [part]).notice == f"kept in memory: {kept} (cache='auto')"
    told = PixelCache("disk", [part]).notice
    assert told == f"kept in {tmp_path}/cache/pixels: {kept} (cache='disk')"
    assert PixelCache(False, [part]).notice == ""
    room(ONE, ONE)
    told = PixelCache("auto", [part]).notice
    assert told.startswith(f"decoded again in every epoch: {kept} are too much for a quarter")
    assert "in memory as far as 240 bytes go" in PixelCache("ram", [part]).notice


def test_what_does_not_fit_is_not_kept(part: Part, room: Any) -> None:
    room(10 * ONE, 0)
    store = PixelCache("ram", [part]).store(part)
    assert store is not None
    for file in part.files:
        store.put(file, PIXELS)
    assert [store.get(file) is not None for file in part.files] == [True] * 8 + [False] * 12


def test_two_pipelines_do_not_mix(part: Part, room: Any) -> None:
    other = Part("a", part.files, build_pipeline([{"type": "Resize", "size": 5}], "x"))
    for mode in ("ram", "disk"):
        room(10**9, 10**9)
        cache = PixelCache(mode, [part, other])
        first, second = cache.store(part), cache.store(other)
        assert first is not None
        assert second is not None
        first.put(part.files[0], PIXELS)
        assert second.get(part.files[0]) is None
        if isinstance(first, PixelFile) and isinstance(second, PixelFile):
            assert first.path != second.path
        close_all()


def test_a_later_run_finds_the_same_file(part: Part, room: Any) -> None:
    room(0, 10**9)
    stores = [PixelCache("disk", [part]).store(part) for _ in range(2)]
    assert stores[0] is not None
    stores[0].put(part.files[3], PIXELS)
    close_all(write=True)
    assert stores[1] is not None
    assert stores[1].get(part.files[3]) is not None
    close_all()


def filled(part: Part) -> PixelFile:
    """Return the closed file of a part, with all of its images."""
    store = PixelCache("disk", [part]).store(part)
    assert isinstance(store, PixelFile)
    for file in part.files:
        store.put(file, PIXELS)
    close_all(write=True)
    return store


def test_what_an_earlier_run_has_kept_counts_as_room(part: Part, room: Any) -> None:
    room(0, 10**9)
    filled(part)
    room(0, 100)  # the disk is full now, with these images
    again = PixelCache("auto", [part])
    assert again.kind == "disk"
    found = again.store(part)
    assert found is not None
    assert found.get(part.files[0]) is not None
    close_all()


def test_images_that_were_all_changed_make_room_for_the_new_ones(part: Part, room: Any) -> None:
    room(0, 10**9)
    store = filled(part)
    PixelCache("disk", [part])
    assert store.path.is_file()
    for file in part.files:
        os.utime(file, ns=(1, 1))
    close_all()
    PixelCache("disk", [part])
    assert not store.path.exists()


def test_a_pool_holds_the_latest_images(part: Part) -> None:
    kept = PixelCache(False, [part]).staged(part, pool=4).store
    for file in part.files:
        kept.put(file, PIXELS)
    assert [kept.get(file) is not None for file in part.files] == [False] * 14 + [True] * 6


@pytest.mark.parametrize("mode", [True, "memory", 3, None])
def test_another_word_is_refused(mode: Any) -> None:
    with pytest.raises(ConfigError, match=r"scenario\.cache: expected 'auto', 'ram', 'disk' or"):
        check_cache(mode)


def test_no_files_need_no_room() -> None:
    cache = PixelCache("ram", [Part("a", [], build_pipeline([], "x"))])
    assert (cache.kind, cache.needed) == (None, 0)
