"""A data set's samples as Avalanche reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute, TransformGroups
from torch import Tensor

from cliqa.benchmarks.patches import Patches, ReadFirst, StoredImages
from cliqa.datasets.base import QualityDataset
from cliqa.transforms.fixed_start import FixedStart

Transform = Callable[[Tensor], Tensor]


def with_transforms(
    data: QualityDataset,
    train_transform: Transform,
    eval_transform: Transform,
    patches: Patches | None = None,
    ratings: np.ndarray | None = None,
) -> AvalancheDataset:
    """Return Avalanche's view of a data set, in evaluation mode.

    `patches` is how training draws patches of the images; None for one sample per image. `ratings`
    (N, 1 + K) is a third entry of the samples; None for none.
    """
    transforms: dict[str, Any] = {"train": train_transform, "eval": eval_transform}
    source: Any = data
    if patches is not None:
        source = StoredImages(data)
        start = FixedStart(train_transform, patches.pool)
        transforms = {"train": start, "eval": ReadFirst(eval_transform)}
    groups = TransformGroups(transforms)
    # explicit, as Avalanche 0.6 ignores the current group and starts in training mode
    targets = DataAttribute(data.scores.tolist(), "targets")  # known without reading an image
    attributes = [targets]
    if ratings is not None:
        attributes.append(DataAttribute(_Rows(ratings), "ratings", use_in_getitem=True))
    made = AvalancheDataset([source], data_attributes=attributes, transform_groups=groups)
    return made.eval()


class _Rows(Sequence[Tensor]):
    """The rows of an array as tensors; of a tensor Avalanche makes lists of numbers."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]
        return torch.from_numpy(self._array[index])
