"""Images in shared memory: found again, forgotten when that is asked for, never wrong."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle

import pytest
import torch
from torch import Tensor

from cliqa.transforms.pixel_store.shared_memory import SharedPixels

SIZE = 3 * 4 * 5


def image(level: int) -> Tensor:
    return torch.full((3, 4, 5), level, dtype=torch.uint8)


def test_an_image_is_found_again() -> None:
    store = SharedPixels(10 * SIZE, 10)
    shapes = [(3, 4, 5), (1, 7, 2), (3, 1, 1)]
    images = [torch.randint(0, 256, shape, dtype=torch.uint8) for shape in shapes]
    for k, pixels in enumerate(images):
        assert store.get(str(k)) is None
        store.put(str(k), pixels)
    assert all(torch.equal(store.get(str(k)), pixels) for k, pixels in enumerate(images))  # type: ignore[arg-type]
    assert store.used == sum(pixels.numel() for pixels in images)


def test_a_full_store_keeps_what_it_has() -> None:
    store = SharedPixels(2 * SIZE, 10)
    for k in range(3):
        store.put(str(k), image(k))
    assert [store.get(str(k)) is None for k in range(3)] == [False, False, True]
    assert torch.equal(store.get("1"), image(1))  # type: ignore[arg-type]


def test_the_oldest_are_overwritten_where_that_is_asked_for() -> None:
    store = SharedPixels(round(2.5 * SIZE), 10, overwrite=True)
    for k in range(9):
        store.put(str(k), image(k))
        kept = [j for j in range(9) if store.get(str(j)) is not None]
        assert kept == list(range(max(0, k - 1), k + 1))
        assert all(torch.equal(store.get(str(j)), image(j)) for j in kept)  # type: ignore[arg-type]
    store.put("3", image(33))
    assert torch.equal(store.get("3"), image(33))  # type: ignore[arg-type]


def test_no_more_images_than_announced_fill_the_table() -> None:
    store = SharedPixels(100 * SIZE, 1)
    for k in range(50):
        store.put(str(k), image(k))
    found = [k for k in range(50) if store.get(str(k)) is not None]
    assert 1 <= len(found) < 50
    assert all(torch.equal(store.get(str(k)), image(k)) for k in found)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "pixels",
    [torch.zeros(3, 4, 5), torch.zeros(4, 5, dtype=torch.uint8), torch.zeros(3, 0, 5).byte()],
)
def test_only_pixels_are_kept(pixels: Tensor) -> None:
    store = SharedPixels(10 * SIZE, 10)
    store.put("a", pixels)
    assert store.get("a") is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_forked_processes_share_it() -> None:
    store = SharedPixels(10 * SIZE, 10)
    store.put("here", image(1))

    def work() -> None:
        assert torch.equal(store.get("here"), image(1))  # type: ignore[arg-type]
        store.put("there", image(2))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert torch.equal(store.get("there"), image(2))  # type: ignore[arg-type]


def test_a_writer_that_was_killed_costs_room_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliqa.transforms.pixel_store.shared_memory.PATIENCE", 0.01)
    store = SharedPixels(10 * SIZE, 10)
    store._lock.acquire()
    store.put("a", image(1))
    assert store.get("a") is None


def test_a_copy_is_the_same_and_another_process_begins_anew() -> None:
    store = SharedPixels(10 * SIZE, 10, overwrite=True)
    store.put("a", image(1))
    assert copy.deepcopy(store) is store
    other = pickle.loads(pickle.dumps(store))
    assert (other.capacity, other.images, other.overwrite) == (10 * SIZE, 10, True)
    assert other.get("a") is None
