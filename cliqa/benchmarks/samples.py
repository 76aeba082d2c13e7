"""A data set's samples as Avalanche reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute, TransformGroups
from torch import Tensor

from cliqa.benchmarks.stored import StoredImages
from cliqa.datasets.base import QualityDataset
from cliqa.transforms.staged import as_staged

Transform = Callable[[Tensor], Tensor]


def with_transforms(
    data: QualityDataset,
    train_transform: Transform,
    eval_transform: Transform,
    ratings: np.ndarray | None = None,
) -> AvalancheDataset:
    """Return Avalanche's view of a data set, in evaluation mode.

    Args:
        data: The data set.
        train_transform: uint8 (3, H, W) -> (3, h, w), for training.
        eval_transform: The same for evaluation.
        ratings: (N, 1 + K), a third entry of the samples; None for none.
    """
    groups = TransformGroups(
        {"train": as_staged(train_transform), "eval": as_staged(eval_transform)}
    )
    # explicit, as Avalanche 0.6 ignores the current group and starts in training mode
    targets = DataAttribute(data.scores.tolist(), "targets")  # known without reading an image
    attributes = [targets]
    if ratings is not None:
        attributes.append(DataAttribute(_Rows(ratings), "ratings", use_in_getitem=True))
    source: Any = StoredImages(data)
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
