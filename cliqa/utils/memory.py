"""Memory in use, and smaller batches when it runs out."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from cliqa.utils.errors import MachineError, in_brackets, is_out_of_memory
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

Images = torch.Tensor | list[Any]
T = TypeVar("T")

UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes per unit of the system's resident set size."""


def peak_memory(device: torch.device) -> int:
    """Return the peak memory use so far, in bytes.

    Args:
        device: On CUDA what torch has allocated; on a CPU the process's resident set, including
            libraries and cached images (0 if the system does not report it).
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource  # noqa: PLC0415  not on Windows
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def reset_peak_memory(device: torch.device) -> None:
    """Let `peak_memory` begin anew, where the system can; else it keeps the peak so far."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # Linux alone, and not in every container
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def tensor_bytes(state: object) -> int:
    """Return the bytes of all tensors in nested dicts, lists and tuples; each storage counts once.

    >>> weight = torch.zeros(3, 4)
    >>> tensor_bytes({"a": weight, "b": [weight.T, torch.zeros(2, dtype=torch.uint8)]})
    50
    """
    storages = [tensor.untyped_storage() for tensor in tensors_in(state)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def tensors_in(state: object) -> Iterator[torch.Tensor]:
    """Yield the tensors in nested dicts, lists and tuples, which may contain themselves."""
    waiting = [state]
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (Mapping, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            waiting += value.values() if isinstance(value, Mapping) else value


def copied(state: object, device: str | torch.device = "cpu") -> Any:  # noqa: ANN401
    """Return a copy of nested dicts, lists and tuples with tensors on a device.

    Tensors that share a storage share one in the copy. Anything else is taken as it is.

    >>> weight = torch.zeros(3)
    >>> copy = copied({"a": weight, "b": (weight[1:],)})
    >>> copy["a"][1] = 1.0
    >>> weight.sum().item(), copy["b"][0][0].item()
    (0.0, 1.0)
    """
    return _copied(state, torch.device(device), {})


def _copied(value: object, device: torch.device, storages: dict[int, Any]) -> Any:  # noqa: ANN401
    """Return a copy; `storages` has the copies of storages by their addresses."""
    if isinstance(value, torch.Tensor):
        source = value.detach()
        if source.layout != torch.strided or source.is_quantized:
            return source.to(device, copy=True)
        storage = source.untyped_storage()
        if storage.data_ptr() not in storages:
            new = torch.UntypedStorage(storage.nbytes(), device=device)
            storages[storage.data_ptr()] = new.copy_(storage)
        place = (source.storage_offset(), source.shape, source.stride())
        empty = torch.empty(0, dtype=source.dtype, device=device)
        return empty.set_(storages[storage.data_ptr()], *place)
    if isinstance(value, Mapping):
        parts = {key: _copied(part, device, storages) for key, part in value.items()}
        return OrderedDict(parts) if isinstance(value, OrderedDict) else parts
    if type(value) in (list, tuple):
        items = (_copied(part, device, storages) for part in cast(list[Any], value))
        return list(items) if isinstance(value, list) else tuple(items)
    return value


class InPieces:
    """A function of batches that is called with smaller ones after memory ran out.

    The batch that was too large and all later ones are halved, down to single images. The outputs
    equal those of smaller batches from the start.

    Args:
        function: Images (B, ...), or a list of B, and further arguments -> a tensor (B, ...).

    Attributes:
        most: The most images per call; None if memory has not run out.
        fits: Whether a batch has been computed.
    """

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        self.function = function
        self.most: int | None = None
        self.fits = False
        self._warned = False

    def __call__(self, images: Images, *others: object) -> torch.Tensor:
        """Return the function's output.

        Args:
            images: A tensor or a list of images.
            others: Tensors and lists of the same length are split too; the rest is passed on.

        Raises:
            MachineError: Memory runs out with one image.
        """
        count = len(images)
        if self.most is None or count <= self.most:
            output = self._try(images, others)
            if output is not None:
                return output
        step = self.most or 1
        starts = range(0, count, step)
        return torch.cat(
            [
                self(
                    _part(images, start, step, count),
                    *(_part(other, start, step, count) for other in others),
                )
                for start in starts
            ]
        )

    def _try(self, images: Images, others: tuple[object, ...]) -> torch.Tensor | None:
        """Return the function's output, or None after halving the batch when memory ran out."""
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
        # outside the except block: the error keeps the tensors of the failed pass
        release_memory()
        self.most = len(images) // 2
        if not self._warned:
            self._warned = True
            logger.warning(
                "out of memory with batches of %d: continuing with at most %d",
                len(images),
                self.most,
            )
        return None


def _part(value: T, start: int, step: int, count: int) -> T:
    """Return a slice of a tensor or list of `count` samples; anything else unchanged."""
    if isinstance(value, torch.Tensor) and value.dim() and len(value) == count:
        return cast(T, value[start : start + step])
    if isinstance(value, list) and len(value) == count:
        return cast(T, type(value)(value[start : start + step]))
    return value


def release_memory() -> None:
    """Free unused memory."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def shape_of(image: torch.Tensor) -> str:
    """Return the shape of a sample, for a message.

    >>> shape_of(torch.zeros(3, 224, 200)), shape_of(torch.zeros(512))
    ('3 x 224 x 200', '512')
    """
    return " x ".join(map(str, image.shape))


def available_memory() -> int:
    """Return the bytes that this process may still take, of the machine's and of its container's.

    On systems that do not tell, half of the machine's memory.
    """
    found = [_machine_memory(), *(limit - used for limit, used in _container_memory())]
    return max(0, min(found))


def _machine_memory() -> int:
    """Return the machine's available bytes."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        return int(text.split("MemAvailable:")[1].split()[0]) * 1024
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return 2**32


def _container_memory() -> Iterator[tuple[int, int]]:
    """Yield the limit and the use of the control group's memory, where there is a limit."""
    root = Path("/sys/fs/cgroup")
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # ValueError: "max"
            numbers = [int((root / name).read_text(encoding="ascii")) for name in (limit, used)]
            yield numbers[0], numbers[1] - _file_cache((root / used).parent / "memory.stat")


def _file_cache(statistics: Path) -> int:
    """Return the bytes of files that a control group counts as used, and can give back."""
    with contextlib.suppress(OSError):
        for line in statistics.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                return int(value)
    return 0
