"""The images of a pretraining: a folder's or a stream's, some of them held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator


class Chosen:
    """Some images of a source.

    Args:
        source: The source.
        places: Their numbers there.
    """

    def __init__(self, source: Images, places: Sequence[int]) -> None:
        self.source = source
        self.places = list(places)

    def __len__(self) -> int:
        return len(self.places)

    def image(self, index: int) -> Tensor:
        """Return image `index`, uint8 (3, H, W)."""
        return self.source.image(self.places[index])


class Union:
    """The images of several sources, one after the other.

    Args:
        sources: The sources.
    """

    def __init__(self, sources: Sequence[Images]) -> None:
        self.places = [(source, k) for source in sources for k in range(len(source))]

    def __len__(self) -> int:
        return len(self.places)

    def image(self, index: int) -> Tensor:
        """Return image `index`, uint8 (3, H, W)."""
        source, place = self.places[index]
        return source.image(place)


def build_images(
    config: Mapping[str, Any],
    root: str | None,
    arguments: dict[str, Any],
) -> Images:
    """Return the unlabelled images: a folder's, or the training images of the config's stream.

    Args:
        config: The resolved config.
        root: The folder; None for the stream.
        arguments: Those of the pairs; ``on_bad_image`` is taken out.
    """
    policy = arguments.pop("on_bad_image", "error")
    if root is not None:
        return UnlabelledFolder(root, policy)
    stream = build_benchmark(config["scenario"])
    return Union([stream.sources[name, "train"] for name in stream.names])


def split(source: Images, share: float, seed: int) -> tuple[Chosen, Chosen]:
    """Return the images to train on, and those held out, drawn by the seed.

    Args:
        source: All images.
        share: The share that is held out, 0..1 (1 excluded), or their number, >= 1.
        seed: The run's.

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
    return Chosen(source, sorted(order[count:])), Chosen(source, sorted(order[:count]))


def record_images(train: Chosen, held_out: Chosen) -> DataRecord:
    """Return the record of a pretraining's images: their names and sizes, for they have no labels.

    Args:
        train: Those that are trained on.
        held_out: Those that are not.
    """
    parts = {"train": train, "held_out": held_out}
    return DataRecord(
        {"images": {key: record_samples(_samples(one)) for key, one in parts.items()}}
    )


def _samples(chosen: Chosen) -> Samples:
    """Return what images are called, and their sizes."""
    places = [_place(chosen.source, k) for k in chosen.places]
    names = [_name(source, k) for source, k in places]
    sizes = file_sizes(source.files[k] for source, k in places)
    return Samples(names, np.zeros(len(names)), sizes)


def _place(source: Images, index: int) -> tuple[Any, int]:
    """Return the data set that holds an image, and the image's number there."""
    return source.places[index] if isinstance(source, Union) else (source, index)


def _name(source: UnlabelledFolder | QualityDataset, index: int) -> str:
    """Return an image's name, whatever folder its data set lies in."""
    if isinstance(source, UnlabelledFolder):
        return Path(source.files[index]).relative_to(source.root).as_posix()
    return f"{source.name}/{source.table.images[index]}"
