"""A data set whose images are read for a batch only if nothing is kept of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cliqa.datasets.base import QualityDataset
from cliqa.datasets.classes.class_dataset import ClassDataset, ImageFiles
from cliqa.transforms.staged import in_a_batch

Source = QualityDataset | ClassDataset


@dataclass(frozen=True)
class StoredImage:
    """An image of a data set that is read when it is needed.

    Args:
        source: The data set, without a transform.
        index: The image's place in it.
    """

    source: Source
    index: int

    @property
    def file(self) -> str | None:
        """The image's file; None where the data set has it in memory."""
        files = files_of(self.source)
        return files[self.index] if files else None

    def read(self, shorter_edge: int | None = None) -> Tensor:
        """Return the pixels, uint8 (C, H, W), or of a smaller image: see `read_image`."""
        if isinstance(self.source, QualityDataset):
            return self.source.training_image(self.index, shorter_edge)
        if isinstance(self.source.inputs, ImageFiles):
            return self.source.inputs.read(self.index, shorter_edge)
        return self.source.inputs[self.index]


class StoredImages(Dataset[Any]):
    """Item i is that of the data set; for a batch (`in_a_batch`) its image is a `StoredImage`.

    Args:
        source: The data set.
    """

    def __init__(self, source: Source) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not in_a_batch():  # whoever reads it may have transforms of another kind
            return self.source[index]
        if isinstance(self.source, QualityDataset):
            return StoredImage(self.source, index), torch.tensor(self.source.scores[index])
        return StoredImage(self.source, index), int(self.source.targets[index])


def files_of(source: Source) -> list[str]:
    """Return the image files of a data set; none where it has its images in memory."""
    if isinstance(source, QualityDataset):
        return source.files
    return source.inputs.paths if isinstance(source.inputs, ImageFiles) else []


class OnPixels:
    """A transform of pixels, also for images that are not read yet.

    Args:
        transform: Whatever takes an image of the data set.
    """

    def __init__(self, transform: Callable[[Any], Any]) -> None:
        self.transform = transform

    def __call__(self, image: Any) -> Any:  # noqa: ANN401  Avalanche's data sets hold anything
        """Return what the transform makes of the image."""
        return self.transform(image.read() if isinstance(image, StoredImage) else image)
