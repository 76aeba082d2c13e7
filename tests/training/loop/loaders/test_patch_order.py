"""The order of patches: each image as often as it should come, apart, and few in use at a time."""

from __future__ import annotations

from collections import Counter, OrderedDict
from itertools import pairwise

import pytest
import torch

from cliqa.training.loop.loaders.patch_order import PatchOrder, patch_order


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batches(order: list[int], size: int) -> list[list[int]]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def reads(order: list[int], pool: int) -> int:
    """Return how often an image is read where the images used last are kept."""
    kept: OrderedDict[int, None] = OrderedDict()
    count = 0
    for place in order:
        count += place not in kept
        kept[place] = None
        kept.move_to_end(place)
        while len(kept) > pool:
            kept.popitem(last=False)
    return count


SHAPES = [(100, 5, 32), (100, 25, 16), (37, 4, 16), (300, 3, 64)]
"""Images, patches of each, images in use at a time."""

SIZE = 8
"""Samples of a batch."""


@pytest.mark.parametrize("shape", SHAPES)
def test_every_image_comes_as_often_as_it_has_patches(
    shape: tuple[int, int, int],
) -> None:
    images, patches = shape[:2]
    order = patch_order(*shape, samples=images * patches, random=generator())
    assert Counter(order) == dict.fromkeys(range(images), patches)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_has_at_most_two_patches_of_an_image(
    shape: tuple[int, int, int],
) -> None:
    images, patches, _ = shape
    for seed in range(5):
        order = patch_order(*shape, samples=images * patches, random=generator(seed))
        counts = [max(Counter(batch).values()) for batch in batches(order, SIZE)]
        assert max(counts) <= 2


@pytest.mark.parametrize("shape", SHAPES)
def test_no_image_is_read_twice_where_a_pool_is_kept(shape: tuple[int, int, int]) -> None:
    images, patches, pool = shape
    order = patch_order(*shape, samples=images * patches, random=generator())
    assert reads(order, pool) == images


def test_all_images_are_mixed_where_the_pool_holds_them() -> None:
    order = patch_order(50, 4, pool=50, samples=200, random=generator())
    for first in range(0, 200, 50):
        assert sorted(order[first : first + 50]) == list(range(50))
    assert order[:50] != order[50:100]


def test_a_longer_epoch_goes_over_the_images_again() -> None:
    order = patch_order(12, 4, pool=16, samples=130, random=generator())
    assert len(order) == 130
    counts = Counter(order)
    assert len(counts) == 12
    assert max(counts.values()) <= 12
    few = patch_order(100, 4, pool=16, samples=24, random=generator())
    assert len(few) == 24


def test_the_order_follows_from_the_global_generator_and_changes_every_epoch() -> None:
    order = PatchOrder(range(20), 3, pool=16)
    assert len(order) == 60
    epochs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        epochs.append(list(order))
        assert order.order == epochs[-1]
    assert epochs[0] == epochs[1] != epochs[2]
    torch.manual_seed(1)
    list(order)
    assert list(order) != epochs[0]


def test_neighbouring_batches_of_a_worker_differ() -> None:
    order = patch_order(64, 5, pool=64, samples=320, random=generator())
    assert all(set(a) != set(b) for a, b in pairwise(batches(order, 8)))
