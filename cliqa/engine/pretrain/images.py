"""The images of a pretraining: a folder's or a stream's, some of them held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from cliqa.datasets.base import QualityDataset
from cliqa.datasets.unlabelled import UnlabelledFolder
from cliqa.engine.streams import build_benchmark
from cliqa.engine.work_dir.data_record import (
    DataRecord,
    Samples,
    file_sizes,
    record_samples,
)
from cliqa.pretraining.pairs import Images
from cliqa.transforms.pipeline import build_pipeline
from cliqa.transforms.pixel_store.choose import Part, PixelCache
from cliqa.transforms.pixel_store.store import NothingKept, PixelStore
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger
from cliqa.utils.seed import generator

logger = get_logger(__name__)


class ImageFiles(Images, Protocol):
    """Images by index, each of a file."""

    files: list[str]


class ImageList:
    """Images of one or several sources.

    Args:
        places: Each image's source, and its number there.
        store: Where decoded images are kept; None for nowhere.
    """

    def __init__(
        self, places: Sequence[tuple[ImageFiles, int]], store: PixelStore | None = None
    ) -> None:
        self.places = list(places)
        self.store = NothingKept() if store is None else store

    @classmethod
    def of(cls, *sources: ImageFiles) -> ImageList:
        """Return all images of some sources, one source after the other."""
        return cls([(source, k) for source in sources for k in range(len(source))])

    def __len__(self) -> int:
        return len(self.places)

    def image(self, index: int) -> Tensor:
        """Return image `index`, uint8 (3, H, W)."""
        source, place = self.places[index]
        file = source.files[place]
        image = self.store.get(file)
        if image is None:
            image = source.image(place)
            self.store.put(file, image)
        return image

    @property
    def files(self) -> list[str]:
        """The images' files."""
        return [source.files[place] for source, place in self.places]

    def kept(self, mode: str | bool) -> ImageList:
        """Return these images, kept once they are decoded as `PixelCache` does."""
        part = Part("pretraining", self.files, build_pipeline([], "pretrain.data"))
        cache = PixelCache(mode, [part])
        logger.debug("images %s", cache.notice)
        return ImageList(self.places, cache.store(part))


def build_images(
    config: Mapping[str, Any],
    root: str | None,
    arguments: dict[str, Any],
) -> ImageList:
    """Return the unlabelled images: a folder's, or the training images of the config's stream.

    ``on_bad_image`` and ``cache`` are taken out of the pairs' arguments.
    """
    policy, cache = arguments.pop("on_bad_image", "error"), arguments.pop("cache", "auto")
    if root is not None:
        return ImageList.of(UnlabelledFolder(root, policy)).kept(cache)
    stream = build_benchmark(config["scenario"])
    return ImageList.of(*(stream.sources[name, "train"] for name in stream.names)).kept(cache)


def split(source: ImageList, share: float, seed: int) -> tuple[ImageList, ImageList]:
    """Return the images to train on, and those held out, drawn by the seed.

    `share` is the share that is held out, 0..1 (1 excluded), or their number, >= 1.

    Raises:
        ConfigError: Nothing would be left to train on, or `share` is negative.
    """
    count = int(share) if share >= 1 else round(share * len(source))
    if not 0 <= count < len(source):
        raise ConfigError(
            f"pretrain.data.held_out={share!r}: of {len(source)} images at least one must be left "
            "to train on."
        )
    order = torch.randperm(len(source), generator=generator(seed, "held_out")).tolist()
    train, held_out = (
        ImageList([source.places[k] for k in sorted(chosen)], source.store)
        for chosen in (order[count:], order[:count])
    )
    return train, held_out


def record_images(train: ImageList, held_out: ImageList) -> DataRecord:
    """Return the record of a pretraining's images: names and sizes, for they have no labels."""
    parts = {"train": train, "held_out": held_out}
    return DataRecord(
        {"images": {key: record_samples(_samples(one)) for key, one in parts.items()}}
    )


def _samples(images: ImageList) -> Samples:
    """Return the names of images, and their sizes."""
    places: list[tuple[Any, int]] = images.places
    names = [_name(source, k) for source, k in places]
    sizes = file_sizes(source.files[k] for source, k in places)
    return Samples(names, np.zeros(len(names)), sizes)


def _name(source: UnlabelledFolder | QualityDataset, index: int) -> str:
    """Return an image's name, whatever folder its data set lies in."""
    if isinstance(source, UnlabelledFolder):
        return Path(source.files[index]).relative_to(source.root).as_posix()
    return f"{source.name}/{source.table.images[index]}"
