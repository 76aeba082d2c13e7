"""How many bytes images take after the fixed steps of a pipeline, from the heads of some files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from cliqa.transforms.image_file import open_image
from cliqa.transforms.image_header import read_header
from cliqa.transforms.pipeline import apply_step
from cliqa.transforms.staged import stages
from cliqa.utils.errors import CliqaError
from cliqa.utils.paths import evenly_spaced

HEAD = 1 << 16
"""Bytes of a file that mostly hold its size."""


def mean_bytes(files: Sequence[str], transform: Callable[[Tensor], Tensor]) -> int:
    """Return the mean bytes of an image as it is kept; 0 where no file can be read.

    Nothing is decoded: the steps are applied to shapes.
    """
    found = [kept_bytes(file, transform) for file in evenly_spaced(files)]
    known = [size for size in found if size]
    return round(sum(known) / len(known)) if known else 0


def kept_bytes(file: str, transform: Callable[[Tensor], Tensor]) -> int:
    """Return the bytes of one image as it is kept; 0 if its size cannot be told."""
    size = _size(file)
    if size is None:
        return 0
    image = torch.empty((3, *size), dtype=torch.uint8, device="meta")
    try:
        for step in stages(transform)[0]:
            image = cast(Tensor, apply_step(step, image))
    except (CliqaError, NotImplementedError):
        return 3 * size[0] * size[1]
    return image.numel()


def _size(file: str) -> tuple[int, int] | None:
    """Return the height and width that a file declares."""
    try:
        with open(file, "rb") as stream:
            header = read_header(stream.read(HEAD))
        if header is not None:
            return header.height, header.width
        with open_image(file) as image:
            return image.height, image.width
    except (OSError, ValueError, CliqaError):  # reading it will say so
        return None
