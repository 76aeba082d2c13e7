"""A state of tensors and plain types as two parts: JSON, and tensors by name; and back again.

JSON has no tuples, no keys but texts and no infinity: what it lacks is a dict with one of `MARKS`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cliqa.utils.errors import CheckpointError

TENSOR, TUPLE, ITEMS, NUMBER = "$tensor", "$tuple", "$items", "$number"
MARKS = (TENSOR, TUPLE, ITEMS, NUMBER)
"""Keys of the dicts for a tensor (by name), a tuple, a dict's items, and nan and infinity."""

Plain = Any
"""What JSON can hold."""


class Split:
    """The tensors of a state, each of which is kept once.

    Attributes:
        tensors: By name; contiguous, on the CPU, each with memory of its own.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[tuple[object, ...], str] = {}

    def plain(self, value: object, where: str) -> Plain:
        """Return a value for JSON, with names in place of its tensors.

        Args:
            value: Tensors and plain types, in lists, tuples and dicts.
            where: The name of the value; tensors in it are named ``where/key/...``.

        Raises:
            CheckpointError: It holds something else.
        """
        if isinstance(value, Tensor):
            return {TENSOR: self._named(value, where)}
        if isinstance(value, Mapping):
            return self._dict(value, where)
        if isinstance(value, (list, tuple)):
            items = [self.plain(item, f"{where}/{index}") for index, item in enumerate(value)]
            return {TUPLE: items} if isinstance(value, tuple) else items
        if isinstance(value, float) and not math.isfinite(value):
            return {NUMBER: str(value)}
        if value is None or isinstance(value, (str, int, float)):
            return value
        raise CheckpointError(
            f"{where}: a {type(value).__name__} cannot be written as JSON. Keep tensors and plain "
            "types alone in a method's state."
        )

    def _dict(self, value: Mapping[Any, Any], where: str) -> Plain:
        """Return a dict for JSON; one with other keys than texts, or with a mark, as items."""
        if all(isinstance(key, str) and key not in MARKS for key in value):
            return {key: self.plain(item, f"{where}/{key}") for key, item in value.items()}
        items = [
            [self.plain(key, where), self.plain(item, f"{where}/{key}")]
            for key, item in value.items()
        ]
        return {ITEMS: items}

    def _named(self, tensor: Tensor, name: str) -> str:
        """Return the name that a tensor is kept by: its own, or that of one in the same memory."""
        place = (
            *(tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.dtype),
            *(tuple(tensor.shape), tensor.stride()),
        )
        if tensor.numel() == 0 or place not in self._names:
            self._names[place] = name
            own = tensor.detach().cpu().contiguous()
            self.tensors[name] = own if own.numel() == 0 else own.clone()
        return self._names[place]


def joined(plain: Plain, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401  as it was
    """Return a state from what `Split.plain` returned, and its tensors.

    >>> import torch
    >>> split = Split()
    >>> plain = split.plain({"means": {0: torch.ones(2)}, "size": (3, 4)}, "state")
    >>> plain
    {'means': {'$items': [[0, {'$tensor': 'state/means/0'}]]}, 'size': {'$tuple': [3, 4]}}
    >>> joined(plain, split.tensors)
    {'means': {0: tensor([1., 1.])}, 'size': (3, 4)}

    Raises:
        CheckpointError: A tensor is missing, or a mark is used wrongly.
    """
    if isinstance(plain, list):
        return [joined(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    marks = [key for key in MARKS if key in plain]
    if not marks:
        return {key: joined(item, tensors) for key, item in plain.items()}
    try:
        return _unmarked(plain, tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{marks[0]}: damaged, or its tensor is missing ({error})."
        ) from error


def _unmarked(plain: dict[str, Any], tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401
    """Return what a dict with a mark stands for."""
    ((mark, value),) = plain.items()
    if mark == TENSOR:
        return tensors[value]
    if mark == TUPLE:
        return tuple([joined(item, tensors) for item in value])
    if mark == NUMBER:
        return float(value)
    return {joined(key, tensors): joined(item, tensors) for key, item in value}
