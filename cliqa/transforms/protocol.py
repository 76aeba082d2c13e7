"""How an evaluation prepares images: the model's own preprocessing, or other crops and sizes.

An image is decoded and normalised once, and its crops are cut from the result.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from cliqa.transforms.crops import GridCrop, random_crops
from cliqa.transforms.pipeline import Pipeline, build_pipeline, preprocessing_signature
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

logger = logging.getLogger(__name__)

RESIZES = frozenset({"Resize", "AdaptiveResize", "ResizePad"})
"""Steps that `EvaluationProtocol.resize` replaces."""

CROPS = frozenset(
    ("CenterCrop", "FiveCrop", "TenCrop", "RandomCrop", "GridCrop", "QualityRandomCrop")
)
"""Steps that `EvaluationProtocol.grid` and `draws` replace."""


@dataclass(frozen=True)
class EvaluationProtocol:
    """Changes of a model's own preprocessing for an evaluation; by default none.

    Attributes:
        grid: (rows, columns) of evenly spaced crops that reach from edge to edge.
        draws: Number of crops at random places. They follow from `seed` and the image's file name,
            so that every model sees the same ones, in whatever order images are read.
        whole: Show the whole image, resized or not, to a network that takes any size. One pass is
            several times as fast as many crops, and the score is another one.
        crop_size: Edge of a crop, in pixels; None for that of the model's own crops.
        resize: Resizing before cropping: None for the model's own, () for
            nothing, (short edge,) or (height, width) in pixels.
        seed: Of the draws.

    Raises:
        ConfigError: A number is out of range, or several kinds of crops are asked for.
    """

    grid: tuple[int, int] | None = None
    draws: int | None = None
    whole: bool = False
    crop_size: int | None = None
    resize: tuple[int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.grid is not None) + (self.draws is not None) + self.whole > 1:
            raise ConfigError("--crops: choose a grid, random crops or the whole image.")
        if self.whole and self.crop_size is not None:
            raise ConfigError("--crop-size: --crops whole has no crops. Leave it out.")
        if self.changes_crops and self.count < 1:
            raise ConfigError("--crops: there must be at least one crop.")
        if self.crop_size is not None and self.crop_size < 1:
            raise ConfigError(f"--crop-size {self.crop_size}: must be at least 1 pixel.")
        if len(self.resize or ()) > 2 or min(self.resize or (1,)) < 1:
            given = " ".join(map(str, self.resize or ()))
            raise ConfigError(
                f"--resize {given}: give the shorter edge, or height and width, in pixels."
            )

    @property
    def count(self) -> int:
        """Number of crops of an image; 1 for the model's own preprocessing."""
        if self.grid is not None:
            return self.grid[0] * self.grid[1]
        return 1 if self.draws is None else self.draws

    @property
    def changes_crops(self) -> bool:
        """Whether other crops, of one size, replace the model's own."""
        return self.grid is not None or self.draws is not None

    @property
    def crops(self) -> str | None:
        """The crops as a command line names them; None for the model's own."""
        if self.grid is not None:
            return f"grid:{self.grid[0]}x{self.grid[1]}"
        if self.whole:
            return "whole"
        return None if self.draws is None else f"random:{self.draws}"

    def to_row(self) -> dict[str, Any]:
        """Return the protocol in JSON's own types, None where it does not matter."""
        return {
            "crops": self.crops,
            "crop_size": self.crop_size if self.changes_crops else None,
            "crop_seed": None if self.draws is None else self.seed,
            "resize": None if self.resize is None else list(self.resize),
        }

    def describe(self) -> str:
        """Return the protocol in words.

        >>> EvaluationProtocol(grid=(5, 5), crop_size=224).describe()
        'crops grid:5x5 of 224 px'
        >>> EvaluationProtocol(resize=(384, 512)).describe()
        'resized to 384 x 512 (height x width)'
        """
        parts = []
        if self.resize is not None:
            sizes = {0: "not resized", 1: "resized to a shorter edge of {}"}
            text = sizes.get(len(self.resize), "resized to {} x {} (height x width)")
            parts.append(text.format(*self.resize))
        if self.changes_crops:
            size = "" if self.crop_size is None else f" of {self.crop_size} px"
            parts.append(f"crops {self.crops}{size}")
        if self.whole:
            parts.append("the whole image in one pass")
        if self.draws is not None:
            parts.append(f"seed {self.seed}")
        return ", ".join(parts) or "each model's own preprocessing"

    def for_model(self, own: int | None) -> EvaluationProtocol:
        """Return the protocol with the size of its crops; another than the model's own is told.

        Raises:
            ConfigError: The size is not given, and the model has none of its own.
        """
        if not self.changes_crops:
            return self
        if self.crop_size is None and own is None:
            why = "the model was trained without crops of one size"
            raise ConfigError(f"--crops {self.crops}: {why}. Add --crop-size PIXELS.")
        if self.crop_size is not None and own not in (None, self.crop_size):
            logger.warning(
                "--crop-size %d: the model's own crops are %d px. It scores what it was not "
                "trained on, and images smaller than a crop are enlarged.",
                self.crop_size,
                own,
            )
        return replace(self, crop_size=self.crop_size or own)


def parse_protocol(
    crops: str | None,
    crop_size: int | None = None,
    resize: Sequence[str] | None = None,
    seed: int = 0,
) -> EvaluationProtocol:
    """Return the protocol that a command line asks for.

    Args:
        crops: ``"grid:5x5"``, ``"random:25"``, ``"whole"``, or None.
        crop_size: Edge of a crop, in pixels; None for that of the model's own crops.
        resize: ``["256"]``, ``["384", "512"]`` (height, width), ``["none"]``, or None.
        seed: Of random crops.

    Raises:
        ConfigError: The text cannot be read.

    >>> parse_protocol("random:25", resize=["none"])
    EvaluationProtocol(grid=None, draws=25, whole=False, crop_size=None, resize=(), seed=0)
    """
    sizes: tuple[int, ...] | None = None
    if resize is not None:
        text = " ".join(resize)
        if text != "none" and not re.fullmatch(r"\d+( \d+)?", text):
            raise ConfigError(f"--resize {text}: write one size, HEIGHT WIDTH, or none.")
        sizes = () if text == "none" else tuple(map(int, resize))
    chosen: dict[str, Any] = {"crop_size": crop_size, "resize": sizes, "seed": seed}
    if crops in (None, "whole"):
        return EvaluationProtocol(whole=crops == "whole", **chosen)
    if found := re.fullmatch(r"grid:(\d+)x(\d+)", crops):
        return EvaluationProtocol(grid=(int(found[1]), int(found[2])), **chosen)
    if found := re.fullmatch(r"random:(\d+)", crops):
        return EvaluationProtocol(draws=int(found[1]), **chosen)
    raise ConfigError(f"--crops {crops}: write grid:ROWSxCOLUMNS, random:COUNT or whole.")


class Views:
    """The input of a model: an image after preprocessing, or its crops.

    Args:
        pipeline: Preprocessing of the whole image.
        protocol: The crops of the result, with their size.
    """

    def __init__(
        self, pipeline: Callable[[torch.Tensor], torch.Tensor], protocol: EvaluationProtocol
    ) -> None:
        self.pipeline = pipeline
        self.protocol = protocol
        self._size = protocol.crop_size or 0
        self._grid = GridCrop(self._size, *protocol.grid) if protocol.grid else None

    def __call__(self, image: torch.Tensor, key: str) -> torch.Tensor:
        """Return the model's input.

        Args:
            image: uint8 (C, H, W), or features (D,).
            key: The image's file name, which decides over random crops.

        Returns:
            (C, h, w), (N, C, h, w) where there are N crops, or the features.
        """
        return self.cut(self.pipeline(image), key)

    def cut(self, shown: torch.Tensor, key: str) -> torch.Tensor:
        """Return the crops of a preprocessed image; the image itself without any."""
        if self._grid is not None:
            return self._grid(shown)
        if self.protocol.draws is not None:
            draw = generator(self.protocol.seed, "crops", key)
            return random_crops(shown, self.protocol.draws, self._size, draw)
        return shown

    def signature(self) -> list[dict[str, Any]]:
        """Return the steps in plain values; equal signatures give equal inputs."""
        own, size, seed = self.pipeline, self._size, self.protocol.seed
        steps = preprocessing_signature(own) if isinstance(own, Pipeline) else []
        if self._grid is not None:
            rows, columns = self._grid.rows, self._grid.columns
            steps.append({"type": "GridCrop", "size": size, "rows": rows, "columns": columns})
        if self.protocol.draws is not None:
            count = self.protocol.draws
            steps.append({"type": "random crops", "size": size, "count": count, "seed": seed})
        return steps


def build_views(
    steps: Sequence[Mapping[str, Any]] | None,
    protocol: EvaluationProtocol,
    where: str,
    *,
    quality: bool = True,
    train_steps: Sequence[Mapping[str, Any]] | None = None,
) -> Views:
    """Build a model's preprocessing under a protocol.

    Args:
        steps: The model's own evaluation transform, as in its config; None for features.
        protocol: The changes: its resize replaces the model's, at the front; its
            crops replace the model's, at the end.
        where: The steps' key path, for messages.
        quality: As `build_pipeline`.
        train_steps: The model's training transform, for the size of its crops if `steps` crop
            nothing.

    Raises:
        ConfigError: A step is wrong, features are to be resized or cropped, or the size of the
            crops is not known.
    """
    if steps is None:
        if protocol.crops is not None or protocol.resize is not None:
            raise ConfigError("--crops and --resize need images, but this model takes features.")
        return Views(_as_it_is, protocol)
    protocol = protocol.for_model(own_crop_size(steps, train_steps or ()))
    kept = [dict(step) for step in steps]
    if protocol.resize is not None:
        kept = [step for step in kept if _name(step) not in RESIZES]
        if protocol.resize:
            size = protocol.resize[0] if len(protocol.resize) == 1 else list(protocol.resize)
            kept.insert(0, {"type": "Resize", "size": size, "antialias": True})
    if protocol.crops is not None:
        kept = [step for step in kept if _name(step) not in CROPS]
    return Views(build_pipeline(kept, where, quality=quality), protocol)


def own_crop_size(*pipelines: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the edge of the square that a pipeline crops last, in pixels.

    Of several lists of steps the first that crops decides.

    >>> own_crop_size([{"type": "Resize", "size": 256}], [{"type": "RandomCrop", "size": [96]}])
    96
    """
    for steps in pipelines:
        for step in reversed(steps):
            if _name(step) in CROPS | {"RandomResizedCrop"}:
                size = step.get("size", 224)  # of `GridCrop` and `QualityRandomCrop`
                edges = list(size) if isinstance(size, (list, tuple)) else [size]
                square = all(isinstance(edge, int) and edge == edges[0] for edge in edges)
                return edges[0] if edges and square else None
    return None


def _as_it_is(features: torch.Tensor) -> torch.Tensor:
    """Return features, which need no preprocessing."""
    return features


def _name(step: Mapping[str, Any]) -> str:
    """Return a step's name without the package it is from."""
    return str(step.get("type")).rpartition(".")[2]
