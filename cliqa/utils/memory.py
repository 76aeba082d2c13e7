"""How much memory is in use, and what is done where it does not suffice."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch

from cliqa.utils.errors import MachineError
from cliqa.utils.logging import get_logger
from cliqa.utils.machine import in_brackets, is_out_of_memory

logger = get_logger(__name__)

UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes of the system's unit for the resident set."""


def peak_memory(device: torch.device) -> int:
    """Return the most memory that was in use at a time so far, in bytes.

    Args:
        device: On CUDA it is what torch has allocated there; on a CPU the process's resident set,
            libraries and cached images included (0 where the system does not tell).
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource  # noqa: PLC0415  not on Windows
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def tensor_bytes(state: Any) -> int:  # noqa: ANN401
    """Return the bytes of all tensors in nested dicts, lists and tuples; each storage counts once.

    >>> weight = torch.zeros(3, 4)
    >>> tensor_bytes({"a": weight, "b": [weight.T, torch.zeros(2, dtype=torch.uint8)]})
    50
    """
    sizes: dict[int, int] = {}
    _collect(state, sizes)
    return sum(sizes.values())


def _collect(state: Any, sizes: dict[int, int]) -> None:  # noqa: ANN401
    """Add the storages in `state`, by where they lie."""
    if isinstance(state, torch.Tensor):
        storage = state.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
    elif isinstance(state, Mapping):
        for value in state.values():
            _collect(value, sizes)
    elif isinstance(state, (list, tuple)):
        for value in state:
            _collect(value, sizes)


class InPieces:
    """A function of batches that is given smaller ones once memory does not suffice.

    A batch that was too large is halved, and so are all that follow, down to single images. What
    comes out is what smaller batches from the start would have given.

    Args:
        function: Images (B, ...), or a list of B, and further arguments -> a tensor (B, ...).

    Attributes:
        most: Images that it is given at a time; None as long as any number was fine.
        fits: A batch has been computed.
    """

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        self.function = function
        self.most: int | None = None
        self.fits = False
        self._told = False

    def __call__(self, images: Any, *others: Any) -> torch.Tensor:  # noqa: ANN401
        """Return the function's output.

        Args:
            images: A tensor or a list of images.
            others: Tensors of the same length are cut like it; all else is passed on.

        Raises:
            MachineError: One image alone is too much.
        """
        count = len(images)
        if self.most is None or count <= self.most:
            output = self._tried(images, others)
            if output is not None:
                return output
        step = self.most or 1
        starts = range(0, count, step)
        return torch.cat(
            [self(*(_part(x, start, step, count) for x in (images, *others))) for start in starts]
        )

    def _tried(self, images: Any, others: tuple[Any, ...]) -> torch.Tensor | None:  # noqa: ANN401
        """Return the function's output, or None after halving where memory does not suffice."""
        try:
            output = self.function(images, *others)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if len(images) == 1:
                raise MachineError(
                    f"out of memory with one image of {shape_of(images[0])}{in_brackets(error)}. "
                    "Use smaller images, or another device."
                ) from error
        else:
            self.fits = True
            return output
        # outside of the except block: the error holds what the failed pass has computed
        release_memory()
        self.most = len(images) // 2
        if not self._told:
            self._told = True
            logger.warning(
                "out of memory with batches of %d: going on with %d and less at a time",
                len(images),
                self.most,
            )
        return None


def _part(value: Any, start: int, step: int, count: int) -> Any:  # noqa: ANN401
    """Return a piece of a tensor or list of `count` samples; anything else as it is."""
    if isinstance(value, torch.Tensor) and value.dim() and len(value) == count:
        return value[start : start + step]
    if isinstance(value, list) and len(value) == count:
        return type(value)(value[start : start + step])
    return value


def release_memory() -> None:
    """Give memory back that nothing uses any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def shape_of(image: torch.Tensor) -> str:
    """Return what a sample is, for a message.

    >>> shape_of(torch.zeros(3, 224, 200)), shape_of(torch.zeros(512))
    ('3 x 224 x 200', '512')
    """
    return " x ".join(map(str, image.shape))
