"""The order of an epoch with several patches of every image."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import torch

from cliqa.training.loop.batching import KnownOrder


class PatchOrder(KnownOrder):
    """Images in random order, each as often as it has patches; see `patch_order`.

    The order depends on a single number from torch's global generator.

    Args:
        dataset: The images.
        patches: Patches of each.
        pool: Images that are in use at a time.
        samples: Patches of an epoch; None for `patches` of each image.
    """

    def __init__(self, dataset: Sized, patches: int, pool: int, samples: int | None = None) -> None:
        count = len(dataset) * patches if samples is None else samples
        super().__init__(dataset, num_samples=count)
        self._images = len(dataset)
        self._arguments = (patches, pool)

    def __iter__(self) -> Iterator[int]:
        random = torch.Generator()
        random.manual_seed(int(torch.empty((), dtype=torch.int64).random_()))
        self.order = patch_order(self._images, *self._arguments, self.num_samples, random)
        yield from self.order


def patch_order(
    images: int, patches: int, pool: int, samples: int, random: torch.Generator
) -> list[int]:
    """Return the indices of an epoch's samples, such that few images are in use at a time.

    Images are taken in chunks of at most `pool`. A chunk is gone through once for every patch, in a
    new order each time: a batch holds at most two patches of an image where a chunk has as many
    images as a batch has patches, and who keeps `pool` images reads each of them once.

    The arguments are those of `PatchOrder`, with the number of images and the random generator. An
    order longer than ``images * patches`` has several passes.
    """
    passes = -(-samples // (images * patches))
    order = [place for _ in range(passes) for place in _one_pass(images, patches, pool, random)]
    return order[:samples]


def _one_pass(images: int, patches: int, pool: int, random: torch.Generator) -> list[int]:
    """Return all images, chunk by chunk, each chunk once for every patch."""
    chunks = max(1, -(-images // pool))
    mixed = torch.randperm(images, generator=random).tolist()
    return [
        place
        for k in range(chunks)
        for _ in range(patches)
        for place in _shuffled(mixed[k::chunks], random)
    ]


def _shuffled(values: list[int], random: torch.Generator) -> list[int]:
    """Return values in random order."""
    return [values[k] for k in torch.randperm(len(values), generator=random).tolist()]
