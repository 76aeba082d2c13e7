"""Refuses to go on where processes that should hold the same state do not.

A method that draws from a generator, looks at the clock or measures its own share of the samples
alone has another state in every process, and the run would go on with the main one's in silence.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from cliqa.utils.errors import ConfigError
from cliqa.utils.processes.group import from_all, size

TOLERANCE = 1e-3
"""The relative difference of sums that rounding on other devices may make."""

Mark = str | tuple[float, float]
"""A digest; or of numbers with fractions their sum and the sum of their magnitudes."""


def check_same_state(state: Mapping[str, Any], when: str) -> None:
    """Refuse different states of the run's processes.

    Args:
        state: Of nested plain types and tensors, of this process.
        when: The time in words, for the message.

    Raises:
        ConfigError: They differ; the message names what, in every process.
    """
    if size() == 1:
        return
    main, *others = from_all(dict(marks_of(state)))
    for rank, other in enumerate(others, 1):
        differing = [key for key in {**main, **other} if not _alike(main.get(key), other.get(key))]
        if differing:
            more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
            raise ConfigError(
                f"cl_strategy: {when} process {rank} holds another {differing[0]}{more} than "
                "process 0. What a method keeps must follow from whole batches and from numbers "
                "that are drawn the same everywhere: cliqa.utils.seed.generator(...) "
                "(In several processes, in the documentation). Or train it in a single process, "
                "without torchrun."
            )


def marks_of(state: object, place: str = "") -> Iterator[tuple[str, Mark]]:
    """Yield a mark of every tensor and value in a nested state, by dotted place.

    >>> list(marks_of({"a": [0.5, -2.0]}))
    [('a.0', (0.5, 0.5)), ('a.1', (-2.0, 2.0))]
    """
    if isinstance(state, Mapping):
        for key, value in state.items():
            yield from marks_of(value, f"{place}.{key}" if place else str(key))
    elif isinstance(state, (list, tuple)) and any(map(_is_nested, state)):
        for index, value in enumerate(state):
            yield from marks_of(value, f"{place}.{index}")
    elif isinstance(state, Tensor):
        yield place, _of_tensor(state.detach())
    elif isinstance(state, float):
        yield place, (state, abs(state))
    else:
        yield place, _digest(repr(state).encode())


def _is_nested(value: object) -> bool:
    """Return whether a value has parts, or is a number with a fraction."""
    return isinstance(value, (Mapping, list, tuple, Tensor, float))


def _of_tensor(values: Tensor) -> Mark:
    """Return the mark of a tensor."""
    if values.is_floating_point():
        full = values.double()
        return float(full.sum()), float(full.abs().sum())
    return _digest(repr(values.shape).encode() + values.cpu().contiguous().numpy().tobytes())


def _digest(content: bytes) -> str:
    """Return a digest of bytes."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _alike(one: Mark | None, other: Mark | None) -> bool:
    """Return whether two marks are equal but for rounding."""
    if not isinstance(one, tuple) or not isinstance(other, tuple):
        return one == other
    if math.isnan(one[1]) or math.isnan(other[1]):
        return math.isnan(one[1]) and math.isnan(other[1])
    if one == other:  # infinite ones too
        return True
    gap = max(abs(a - b) for a, b in zip(one, other, strict=True))
    return gap <= TOLERANCE * max(one[1], other[1])
