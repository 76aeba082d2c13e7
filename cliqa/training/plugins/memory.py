"""Samples that a memory refers to, read from the stream's own data sets."""

from __future__ import annotations

from typing import Any

from avalanche.benchmarks.utils.utils import concat_datasets
from torch import Tensor


def joined_samples(stream: Any, experience: Tensor, index: Tensor) -> Any:  # noqa: ANN401
    """Return samples of several experiences as one data set, as they are trained on.

    Args:
        stream: The stream's experiences.
        experience: (M,), int64, the experience of each sample.
        index: (M,), int64, its place in that experience's data set.

    Returns:
        M samples with the training transform, by experience and within one in the order given.
    """
    parts = [
        stream[int(k)].dataset.subset(index[experience == k].tolist()) for k in experience.unique()
    ]
    return concat_datasets(parts).train()
