"""Batches of samples that are the same with any number of worker processes.

Each sample is drawn with random numbers of its own, which depend on the epoch and on its place in
the epoch's order. The last steps of the images' transforms are done for whole batches, on the
training's device; until then, and so between processes, images have 8 bits a value.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cliqa.training.loop.batching import KnownOrder, RaggedImages, collate_eval, collate_train
from cliqa.training.loop.parallel.shared_batch import shared
from cliqa.transforms.staged import Unfinished, unfinished
from cliqa.utils.processes.group import size
from cliqa.utils.processes.shares import own_share

Place = tuple[int, int]
"""The seed of a sample's random numbers, and its index in the data set."""

MIX = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: multiples of it are spread evenly (Steele et al., 2014)."""


class SeededBatches:
    """The batches of the epoch that was drawn last, as places.

    Args:
        order: The indices of an epoch.
        batch_size: Samples a batch.
        drop_last: Leave out a last batch that is smaller.
    """

    def __init__(self, order: Sequence[int] | KnownOrder, batch_size: int, drop_last: bool) -> None:
        self._order, self._size, self._drop_last = order, batch_size, drop_last
        self._places: list[Place] = []

    def draw(self) -> None:
        """Draw an epoch; its seeds follow from one number of torch's global generator."""
        epoch = int(torch.empty((), dtype=torch.int64).random_())
        self._places = [(sample_seed(epoch, k), index) for k, index in enumerate(self._order)]

    def __len__(self) -> int:
        full, left = divmod(len(self._order), self._size)
        return full + (left > 0 and not self._drop_last)

    def __iter__(self) -> Iterator[list[Place]]:
        for batch in range(len(self)):
            places = self._places[batch * self._size : (batch + 1) * self._size]
            yield [places[index] for index in own_share(len(places))]

    def size_of(self, batch: int) -> int:
        """Return the samples of a batch, in all processes."""
        return min(self._size, len(self._places) - batch * self._size)


def sample_seed(epoch: int, place: int) -> int:
    """Return 32 well mixed bits for a place in an epoch (SplitMix64's finaliser).

    >>> sample_seed(1, 0) == sample_seed(1, 0), sample_seed(1, 0) == sample_seed(1, 1)
    (True, False)
    """
    full = (1 << 64) - 1
    value = (epoch + MIX * (place + 1)) & full
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & full
    value = (value ^ value >> 27) * 0x94D049BB133111EB & full
    return (value ^ value >> 31) & 0xFFFFFFFF


class SeededSamples(Dataset[Any]):
    """A data set whose samples are read by `Place`.

    Args:
        samples: The data set.
    """

    def __init__(self, samples: Any) -> None:  # noqa: ANN401  anything with samples
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: Place) -> Any:  # noqa: ANN401
        """Return one sample, its images without their last steps."""
        return self.__getitems__([place])[0]

    def __getitems__(self, places: Sequence[Place]) -> list[Any]:
        """Return a batch's samples; the process's own random numbers are as before."""
        before = torch.get_rng_state(), random.getstate(), np.random.get_state()
        try:
            with unfinished():
                return [self._sample(seed, index) for seed, index in places]
        finally:
            torch.set_rng_state(before[0])
            random.setstate(before[1])
            np.random.set_state(before[2])

    def _sample(self, seed: int, index: int) -> Any:  # noqa: ANN401
        """Return a sample, drawn by a seed."""
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` sees to GPUs as well
        random.seed(seed)
        np.random.seed(seed)
        return self.samples[index]


class ImageLoader:
    """Batches ``[images, targets, ...]``, the images finished on the training's device.

    Of several processes each loads its share of every batch; see `SharedBatch`.

    Args:
        dataset: Samples (image, target, ...).
        batch_size: Samples a batch.
        order: The order of a training epoch; None for the data set's own, without collating
            images of one size alone.
        drop_last: Leave out a last batch that is smaller.
        num_workers: Worker processes; 0 loads in this one.
        device: Of the images; None leaves them on the CPU.
        keep_workers: The workers live on from epoch to epoch.

    Attributes:
        sampler: The order of a training epoch.
        batch_size: Samples a batch.
        dataset: The samples.
    """

    def __init__(
        self,
        dataset: Sized,
        batch_size: int,
        *,
        order: KnownOrder | None,
        drop_last: bool = False,
        num_workers: int = 0,
        device: torch.device | None = None,
        keep_workers: bool = False,
    ) -> None:
        self.dataset, self.batch_size, self.sampler = dataset, batch_size, order
        self._device = device
        collate = collate_eval if order is None else collate_train
        chosen: Any = range(len(dataset)) if order is None else order
        self._epoch = SeededBatches(chosen, batch_size, drop_last)
        self._batches: DataLoader[Any] = DataLoader(
            SeededSamples(dataset),
            batch_sampler=self._epoch,
            num_workers=num_workers,
            pin_memory=device is not None and device.type == "cuda",
            collate_fn=_Collate(collate),
            persistent_workers=keep_workers and num_workers > 0,
        )

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Any]]:
        self._epoch.draw()
        before = torch.get_rng_state()
        batches = iter(self._batches)  # which draws by itself, or not: it depends on the workers
        torch.set_rng_state(before)
        for number, (images, *others) in enumerate(batches):
            batch = [finished(images, self._device), *others]
            yield self._shared(batch, number) if size() > 1 else batch

    def _shared(self, batch: list[Any], number: int) -> list[Any]:
        """Return a batch of which this process has loaded its share."""
        device = self._device or torch.device("cpu")
        images, *others = batch
        there = [part.to(device) if isinstance(part, Tensor) else part for part in others]
        return shared([images, *there], self._epoch.size_of(number))


class _Collate:
    """Collate samples whose images lack the same last steps as such a batch.

    Args:
        collate: Of samples (image, target, ...).
    """

    def __init__(self, collate: Callable[[Sequence[Sequence[Any]]], list[Any]]) -> None:
        self.collate = collate

    def __call__(self, samples: Sequence[Sequence[Any]]) -> list[Any]:
        """Return the batch."""
        first = samples[0][0]
        if not all(_alike(sample[0], first) for sample in samples):
            return self.collate([(finished(image), *others) for image, *others in samples])
        images, *others = self.collate([(image.pixels, *rest) for image, *rest in samples])
        return [Unfinished(images, first.finish), *others]


def _alike(image: object, other: object) -> bool:
    """Return whether two images lack the same last steps."""
    if not isinstance(image, Unfinished) or not isinstance(other, Unfinished):
        return False
    return image.pixels.dtype == other.pixels.dtype and image.finish == other.finish


def finished(images: Any, device: torch.device | None = None) -> Any:  # noqa: ANN401
    """Return images, or a batch of them, after their last steps, on a device.

    Args:
        images: `Unfinished` ones; any others are only moved.
        device: None for where they are.
    """
    pixels = images.pixels if isinstance(images, Unfinished) else images
    if device is not None and isinstance(pixels, (Tensor, RaggedImages)):
        pixels = pixels.to(device, non_blocking=True)
    if not isinstance(images, Unfinished):
        return pixels
    if isinstance(pixels, RaggedImages):
        return RaggedImages(images.finish(image) for image in pixels)
    return images.finish(pixels)


def make_loader(
    dataset: Sized,
    batch_size: int,
    *,
    train: bool,
    num_workers: int = 0,
    device: torch.device | None = None,
    samples: int | None = None,
    sampler: KnownOrder | None = None,
    keep_workers: bool = False,
) -> ImageLoader:
    """Return a loader whose order and samples are seeded by torch's global generator alone.

    Args:
        dataset: Samples (image, target, ...).
        batch_size: Samples a batch.
        train: Shuffle, and drop a last batch of one sample, which neither batch normalisation nor a
            ranking loss can use.
        num_workers: Worker processes; 0 loads in this one.
        device: Of the images; None leaves them on the CPU.
        samples: Samples per epoch, repeated in new orders if needed; None for each once.
        sampler: Another order of the training samples.
        keep_workers: The workers live on from epoch to epoch.
    """
    count = len(dataset) if samples is None else samples
    order = KnownOrder(dataset, num_samples=count) if train else None
    if sampler is not None:
        order, count = sampler, sampler.num_samples
    return ImageLoader(
        dataset,
        batch_size,
        order=order,
        drop_last=train and count > batch_size and count % batch_size == 1,
        num_workers=num_workers,
        device=device,
        keep_workers=keep_workers,
    )
