"""Several training patches of every image in an epoch; the image is read once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cliqa.datasets.base import QualityDataset
from cliqa.transforms.fixed_start import UNIFORM
from cliqa.utils.errors import ConfigError


@dataclass(frozen=True)
class Patches:
    """How an epoch draws patches.

    Args:
        per_image: Patches of every image in an epoch, each with its image's score, >= 1.
        pool: Images that a worker holds at a time, >= 1. It takes ``pool`` images in memory, shows
            all their patches in random order, and continues with the next ones.

    Raises:
        ConfigError: A number is not an integer >= 1.
    """

    per_image: int = 1
    pool: int = 256

    def __post_init__(self) -> None:
        """Check the numbers."""
        numbers = (("patches_per_image", self.per_image), ("patch_pool", self.pool))
        for name, value in numbers:
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"scenario.{name}: expected an integer >= 1, got {value!r}.")

    def check(self, transform: Sequence[object], batch_size: object) -> None:
        """Refuse patches that are all the same, or that fill a batch with few images.

        Args:
            transform: The training pipeline's config.
            batch_size: Samples of a training batch.

        Raises:
            ConfigError: The pipeline draws nothing, or the pool is too small.
        """
        if self.per_image == 1:
            return
        names = [str(step.get("type")) for step in transform if isinstance(step, dict)]
        if all(name in UNIFORM for name in names):
            raise ConfigError(
                f"scenario.patches_per_image={self.per_image}: scenario.train_transform draws "
                "nothing at random, so an image's patches would all be the same. Add "
                "dict(type='QualityRandomCrop', size=224) before 'ToTensor'."
            )
        if isinstance(batch_size, int) and self.pool < 2 * batch_size:
            raise ConfigError(
                f"scenario.patch_pool={self.pool}: too few for batches of {batch_size}, which "
                "would hold many patches of one image. Set it to twice the batch size or more: "
                f"{2 * batch_size}."
            )


@dataclass(frozen=True)
class StoredImage:
    """An image of a data set that is read when it is needed.

    Args:
        source: The data set, without a transform.
        index: The image's place in it.
    """

    source: QualityDataset
    index: int

    @property
    def key(self) -> str:
        """The image's file."""
        return self.source.files[self.index]

    def read(self) -> Tensor:
        """Return the pixels, uint8 (3, H, W)."""
        return self.source[self.index][0]


class StoredImages(Dataset[tuple[StoredImage, Tensor]]):
    """A data set whose images are read by the transforms: item i is (`StoredImage`, score).

    Args:
        source: The data set.
    """

    def __init__(self, source: QualityDataset) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[StoredImage, Tensor]:
        return StoredImage(self.source, index), torch.tensor(self.source.scores[index])


class ReadFirst:
    """Reads a stored image and transforms its pixels.

    Args:
        transform: uint8 (3, H, W) -> tensor.
    """

    def __init__(self, transform: Callable[[Tensor], Tensor]) -> None:
        self._transform = transform

    def __call__(self, stored: StoredImage) -> Tensor:
        """Return what the transform makes of the image."""
        return self._transform(stored.read())
