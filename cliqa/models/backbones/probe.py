"""The channels of a backbone's outputs, from a forward pass that does not change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from cliqa.models.outputs import SURPRISES
from cliqa.utils.errors import ModelError

PROBE = 224
"""Edge of the test image, for a backbone without an image size of its own."""

T = TypeVar("T")


@torch.no_grad()
def probed(compute: Callable[[Tensor], T], *parts: nn.Module | None, key: str) -> T:
    """Return what a function computes for one black image.

    Args:
        compute: Image (1, C, H, W) -> anything.
        parts: The backbone, and other parts that it uses; in evaluation mode meanwhile.
        key: What to set in the config if it fails, for the message.

    Raises:
        ModelError: The backbone cannot process the image.
    """
    backbone = parts[0]
    height, width = _size(backbone)
    tensor = next((p for part in parts if part is not None for p in part.parameters()), None)
    device = torch.device("cpu") if tensor is None else tensor.device
    image = torch.zeros(1, _inputs(backbone), height, width, device=device)
    with _evaluated(*(part for part in parts if part is not None)):
        try:
            return compute(image)
        except (RuntimeError, ValueError, TypeError, IndexError, *SURPRISES) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(
                f"the {type(backbone).__name__} cannot process an image of {height} x {width} px "
                f"to find its channels ({' '.join(str(error).split())}). Set them: {key}."
            ) from error


@contextmanager
def _evaluated(*parts: nn.Module) -> Iterator[None]:
    """Set modules to evaluation mode within this context."""
    modes = [(module, module.training) for part in parts for module in part.modules()]
    for part in parts:
        part.eval()
    try:
        yield
    finally:
        for part in parts:  # LeViT and TinyViT drop there what they keep for evaluation
            part.train()
        for module, mode in modes:
            module.training = mode


def _size(backbone: nn.Module | None) -> tuple[int, int]:
    """Return a size (H, W) of images that a backbone can process."""
    for module in backbone.modules() if backbone is not None else ():
        size = getattr(module, "img_size", None)
        if isinstance(size, int):
            return size, size
        if isinstance(size, tuple | list) and len(size) == len(("height", "width")):
            return int(size[0]), int(size[1])
    return PROBE, PROBE


def _inputs(backbone: nn.Module | None) -> int:
    """Return the channels of the images that a backbone takes: those of its first convolution."""
    modules = backbone.modules() if backbone is not None else ()
    found = next((module for module in modules if isinstance(module, nn.Conv2d)), None)
    return 3 if found is None else found.in_channels
