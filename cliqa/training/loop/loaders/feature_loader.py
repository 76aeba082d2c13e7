"""Batches of precomputed features: slices of one tensor, without collating samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.benchmarks.utils.flat_data import FlatData
from torch import Tensor

from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.training.loop.batching import KnownOrder
from cliqa.training.loop.parallel.shared_batch import SharedBatch
from cliqa.training.strategy import Samples
from cliqa.utils.processes.group import size
from cliqa.utils.processes.shares import own_share

TASK_LABELS = "targets_task_labels"


class FeatureLoader:
    """Batches ``[features (B, D), classes (B,), task labels (B,)]`` on the training's device.

    The order of an epoch depends on torch's global generator alone, as in a `DataLoader`.

    Args:
        tensors: Features (N, D), classes (N,) and task labels (N,).
        batch_size: Samples a batch.
        train: Shuffle, and drop a last batch of one sample.
        samples: Samples per epoch, repeated in new orders if needed; None for each once.
        device: Device of the batches; the tensors are moved there once.
    """

    def __init__(
        self,
        tensors: tuple[Tensor, Tensor, Tensor],
        batch_size: int,
        *,
        train: bool,
        device: torch.device,
        samples: int | None = None,
    ) -> None:
        self.tensors = tuple(tensor.to(device) for tensor in tensors)
        self.batch_size = batch_size
        self.train = train
        count = len(tensors[0])
        self.samples = count if samples is None else samples
        left = self.samples % batch_size
        drop = train and self.samples > batch_size and left == 1
        self._batches = self.samples // batch_size + (left > 0 and not drop)
        self.sampler = KnownOrder(range(count), num_samples=self.samples) if train else None

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[Tensor]]:
        places = range(len(self.tensors[0])) if self.sampler is None else self.sampler
        order = torch.as_tensor(list(places), dtype=torch.long, device=self.tensors[0].device)
        for index in range(self._batches):
            chosen = order[index * self.batch_size : (index + 1) * self.batch_size]
            features, *others = self.tensors
            rest = [tensor[chosen] for tensor in others]
            if size() == 1:
                yield [features[chosen], *rest]
            else:
                own = torch.tensor(own_share(len(chosen)), device=chosen.device)
                yield SharedBatch([features[chosen[own]], *rest], (len(chosen),))


def feature_tensors(dataset: object) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return all of a data set's samples as tensors, if they are precomputed features.

    Args:
        dataset: Avalanche's view of `ClassDataset`s, their subsets and their concatenations.

    Returns:
        Features (N, D), classes (N,) and task labels (N,); None for anything else, such as
        images or samples with more attributes.
    """
    if not isinstance(dataset, AvalancheDataset) or not len(dataset):
        return None
    added = [a.name for a in dataset._data_attributes.values() if a.use_in_getitem]
    if added != [TASK_LABELS]:
        return None
    found = _gathered(dataset._flat_data, np.arange(len(dataset)))
    if found is None:
        return None
    tasks = dataset._data_attributes[TASK_LABELS]
    known = tasks.uniques
    labels = [next(iter(known))] * len(dataset) if len(known) == 1 else list(tasks)
    tensors = (*found, torch.as_tensor(labels))
    return tensors if _agrees(dataset, tensors) else None


def _gathered(data: object, indices: np.ndarray) -> tuple[Tensor, Tensor] | None:
    """Return features and classes at some indices of nested data sets."""
    if isinstance(data, ClassDataset):
        if not data.has_features or not isinstance(data.inputs, Tensor):
            return None
        classes = torch.as_tensor(data.targets)
        if np.array_equal(indices, np.arange(len(data))):
            return data.inputs, classes  # all of it, as it is: not copied
        chosen = torch.as_tensor(indices)
        return data.inputs[chosen], classes[chosen]
    if not isinstance(data, FlatData):
        return None
    if data._indices is not None:
        own = data._indices
        indices = np.asarray([own[int(i)] for i in indices], dtype=np.int64)
    ends = np.asarray(data._cumulative_sizes)
    which = np.searchsorted(ends, indices, side="right")  # the data set of each sample
    if len(data._datasets) == 1:
        return _gathered(data._datasets[0], indices)
    features: Tensor | None = None
    classes = torch.empty(len(indices), dtype=torch.int64)
    for number in np.unique(which):
        places = np.flatnonzero(which == number)
        start = ends[number - 1] if number else 0
        part = _gathered(data._datasets[number], indices[places] - start)
        if part is None:
            return None
        if features is None:
            features = part[0].new_empty(len(indices), part[0].shape[1])
        features[torch.as_tensor(places)] = part[0]
        classes[torch.as_tensor(places)] = part[1]
    return None if features is None else (features, classes)


def _agrees(dataset: Samples, tensors: tuple[Tensor, Tensor, Tensor]) -> bool:
    """Return whether the first and the last sample equal the data set's own."""
    for place in (0, len(dataset) - 1):
        sample = dataset[place]
        if len(sample) != len(tensors):
            return False
        for value, tensor in zip(sample, tensors, strict=True):
            if not torch.equal(torch.as_tensor(value), tensor[place]):
                return False
    return True
