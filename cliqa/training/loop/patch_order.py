"""The order of an epoch with several patches of every image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sized

import torch

from cliqa.training.loop.batching import KnownOrder


class PatchOrder(KnownOrder):
    """Images in random order, each as often as it has patches; see `patch_order`.

    The order depends on a single number from torch's global generator.

    Args:
        dataset: The images.
        patches: Patches of each.
        batch_size: Patches of a batch.
        workers: Worker processes.
        pool: Images that a worker caches at a time.
        samples: Patches of an epoch; None for `patches` of each image.
    """

    def __init__(
        self,
        dataset: Sized,
        patches: int,
        batch_size: int,
        workers: int,
        pool: int,
        samples: int | None = None,
    ) -> None:
        count = len(dataset) * patches if samples is None else samples
        super().__init__(dataset, num_samples=count)
        self._images = len(dataset)
        self._arguments = (patches, batch_size, max(1, workers), pool)

    def __iter__(self) -> Iterator[int]:
        random = torch.Generator()
        random.manual_seed(int(torch.empty((), dtype=torch.int64).random_()))
        self.order = patch_order(self._images, *self._arguments, self.num_samples, random)
        yield from self.order


def patch_order(
    images: int,
    patches: int,
    batch_size: int,
    workers: int,
    pool: int,
    samples: int,
    random: torch.Generator,
) -> list[int]:
    """Return the indices of an epoch's samples, such that few images are in use at a time.

    A `DataLoader` gives batch j to worker ``j % workers``. Each worker has images of its own, and
    takes them in chunks of at most `pool`. A chunk is gone through once for every patch, in a new
    order each time: a batch holds at most two patches of an image where a chunk has as many images
    as a batch has patches, and a worker that keeps `pool` images reads each of them once. The last
    batches, made of what the workers have left, may read an image again.

    The arguments are those of `PatchOrder`, with the number of images and the random generator. An
    order longer than ``images * patches`` has several passes.
    """
    passes = -(-samples // (images * patches))
    shuffled = _shuffled(list(range(images)), random)
    own = [shuffled[worker::workers] for worker in range(workers)]
    queues = [
        [place for _ in range(passes) for place in _one_pass(part, patches, pool, random)]
        for part in own
    ]
    order: list[int] = []
    taken = [0] * workers
    worker = 0
    while len(order) < samples and taken[worker] + batch_size <= len(queues[worker]):
        start = taken[worker]
        order += queues[worker][start : start + batch_size]
        taken[worker] += batch_size
        worker = (worker + 1) % workers
    left = [place for queue, start in zip(queues, taken, strict=True) for place in queue[start:]]
    return [*order, *_spread(left, random)][:samples]


def _one_pass(images: list[int], patches: int, pool: int, random: torch.Generator) -> list[int]:
    """Return a worker's images, chunk by chunk, each chunk once for every patch."""
    chunks = max(1, -(-len(images) // pool))
    mixed = _shuffled(images, random)
    return [
        place
        for k in range(chunks)
        for _ in range(patches)
        for place in _shuffled(mixed[k::chunks], random)
    ]


def _spread(places: list[int], random: torch.Generator) -> list[int]:
    """Return indices in random order, such that repetitions come after all first occurrences."""
    seen: Counter[int] = Counter()
    numbered = []
    for place in _shuffled(places, random):
        numbered.append((seen[place], place))
        seen[place] += 1
    return [place for _, place in sorted(numbered, key=lambda pair: pair[0])]


def _shuffled(values: list[int], random: torch.Generator) -> list[int]:
    """Return values in random order."""
    return [values[k] for k in torch.randperm(len(values), generator=random).tolist()]
