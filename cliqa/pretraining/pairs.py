"""Two crops of every image, both at every level of one degradation.

Legend: C channels, h w, L levels (the mildest, or the pristine image, first).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cliqa.datasets.unlabelled import UnlabelledFolder
from cliqa.models.arguments import check_integer, check_share
from cliqa.transforms.degradations.ladders import family_names, find_family
from cliqa.transforms.degradations.synthetic import SyntheticDegradation
from cliqa.transforms.resize import enlarge
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger
from cliqa.utils.seed import generator

logger = get_logger(__name__)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Images(Protocol):
    """Images by index, as every data set of quality scores has them."""

    def __len__(self) -> int:
        """Return the number of images."""

    def image(self, index: int) -> Tensor:
        """Return image `index`, uint8 (3, H, W)."""


class PairDataset(Dataset[Tensor]):
    """Unlabelled images for pretraining.

    Item i is uint8 (2, L, C, h, w): two random overlapping crops of image i, both with one random
    degradation at rising levels; `normalised` takes a batch of them. Crops, family and noise depend
    on (seed, epoch, i) alone, not on workers or order.

    Args:
        images: A folder, or a data set whose ``image(i)`` is uint8 (3, H, W); scores are not used.
        crop_size: h = w, in pixels. A smaller image is enlarged until a crop fits.
        min_overlap: Minimum share of a crop's area that overlaps the other one, 0..1.
        families: The kinds of degradation to draw from; None for all of the table. A degradation
            without effect (desaturating a grey photograph) is replaced by another one.
        num_levels: Levels of degradation.
        pristine: Add the undegraded crops as the first level: L = num_levels + 1.
        table: Strengths; see `SyntheticDegradation`.
        mean: The channels' means for normalisation.
        std: The channels' standard deviations for normalisation.
        seed: Seed of all random numbers.
        on_bad_image: As `UnlabelledFolder`, where `images` is a folder.

    Raises:
        ConfigError: An argument is out of range, or a degradation is unknown.
        DatasetError: There is no image.
    """

    def __init__(
        self,
        images: Images | str | Path,
        crop_size: int = 224,
        min_overlap: float = 0.25,
        families: Sequence[str] | None = None,
        num_levels: int = 5,
        pristine: bool = False,
        table: str = "standard",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        seed: int = 0,
        on_bad_image: str = "error",
    ) -> None:
        check_integer("pairs", 1, crop_size=crop_size)
        check_share("pairs", min_overlap=min_overlap)
        names = family_names(table) if families is None else list(families)
        if not names or isinstance(families, str):
            raise ConfigError(f"families: expected a list of degradations, got {families!r}.")
        self.degradations = {
            name: SyntheticDegradation(name, num_levels, table, pristine) for name in names
        }
        warn_of_no_ladder(names)
        self.mean, self.std = (torch.tensor(value).view(-1, 1, 1) for value in (mean, std))
        if self.mean.shape != self.std.shape or not (self.std > 0).all():
            raise ConfigError(f"mean={mean}, std={std}: one positive std per mean is needed.")
        folder = isinstance(images, str | Path)
        self.images: Images = UnlabelledFolder(images, on_bad_image) if folder else images  # type: ignore[arg-type,assignment]
        self.crop_size = crop_size
        self.reach = int(crop_size * (1 - min_overlap**0.5))
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch for random draws; call it before a loader's workers start."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        draw = generator(self.seed, "pair", self.epoch, index)
        crops = self.crops(self.images.image(index), draw)
        return self._degrade(crops, draw)  # (2, L, C, h, w)

    def normalised(self, levels: Tensor) -> Tensor:
        """Return 8-bit levels (..., C, h, w) as the model sees them, float32, on their device."""
        mean, std = self.mean.to(levels.device), self.std.to(levels.device)
        return levels.float().div_(255).sub_(mean).div_(std)

    def crops(self, image: Tensor, draw: torch.Generator) -> Tensor:
        """Return two overlapping random crops (2, C, h, w) of an image (C, H, W).

        Their shift is limited in height and width to guarantee the overlap.
        """
        image = enlarge(image, self.crop_size, self.crop_size)
        corners = [_two_starts(n - self.crop_size, self.reach, draw) for n in image.shape[-2:]]
        return torch.stack(
            [
                image[..., top : top + self.crop_size, left : left + self.crop_size]
                for top, left in zip(*corners, strict=True)
            ]
        )

    def _degrade(self, crops: Tensor, draw: torch.Generator) -> Tensor:
        """Return the crops at every level of a random family, (2, L, C, h, w)."""
        names = list(self.degradations)
        for choice in torch.randperm(len(names), generator=draw).tolist():
            levels = self.degradations[names[choice]](crops, draw)
            if not torch.equal(levels[0], levels[-1]):
                break
        return torch.stack(levels, dim=1)


def _two_starts(last: int, reach: int, draw: torch.Generator) -> tuple[int, int]:
    """Return two starts in 0..`last`, `reach` apart at most."""
    first = int(torch.randint(last + 1, (), generator=draw))
    low, high = max(0, first - reach), min(last, first + reach)
    return first, int(torch.randint(low, high + 1, (), generator=draw))


def warn_of_no_ladder(families: Sequence[str]) -> None:
    """Warn of families whose error does not rise: the loss takes a later level for a worse one."""
    for name in families:
        if not find_family(name).rises:
            logger.warning(
                "degradation '%s': its levels do not rise, and the loss takes each for worse than "
                "the one before. 'darken' and 'brighten' are two ladders that do.",
                name,
            )
