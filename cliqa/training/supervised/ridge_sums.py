"""Sums of features and targets that determine every ridge regression over the samples.

Legend: p features, K outputs, B samples of a batch. All sums are float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cliqa.utils.errors import ModelError
from cliqa.utils.processes.shares import summed

FIELDS = ("count", "weight", "z", "y", "yy", "zy")
"""The small sums of a data set."""


@dataclass
class SetSums:
    """The weighted sums of one data set's samples; p + K + p K numbers.

    Attributes:
        count: (1,) samples, unweighted.
        weight: (1,) sum of the samples' weights.
        z: (p,) of the features.
        y: (K,) of the targets.
        yy: (K,) of the squared targets.
        zy: (p, K) of their products.
    """

    count: Tensor
    weight: Tensor
    z: Tensor
    y: Tensor
    yy: Tensor
    zy: Tensor

    @classmethod
    def zeros(cls, features: int, outputs: int, device: torch.device | str = "cpu") -> SetSums:
        """Return the sums of no sample, for p features and K outputs."""
        shapes = ((1,), (1,), (features,), (outputs,), (outputs,), (features, outputs))
        return cls(*(torch.zeros(shape, dtype=torch.float64, device=device) for shape in shapes))

    def __add__(self, other: SetSums) -> SetSums:
        return SetSums(*(getattr(self, name) + getattr(other, name) for name in FIELDS))

    def __sub__(self, other: SetSums) -> SetSums:
        return SetSums(*(getattr(self, name) - getattr(other, name) for name in FIELDS))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the sums by name."""
        return {name: getattr(self, name) for name in FIELDS}


class Accumulator:
    """The sums of one pass over a data set.

    Args:
        features: p.
        outputs: K.
        device: Where to add.

    Attributes:
        sums: The small sums.
        products: (p, p), the weighted sum of z z^T.
    """

    def __init__(self, features: int, outputs: int, device: torch.device | str = "cpu") -> None:
        self.sums = SetSums.zeros(features, outputs, device)
        self.products = torch.zeros(features, features, dtype=torch.float64, device=device)

    def add(self, features: Tensor, targets: Tensor, weight: float = 1.0) -> None:
        """Add samples.

        Args:
            features: (B, p).
            targets: (B, K).
            weight: Of each of the samples.

        Raises:
            ModelError: A feature or a target is not finite, which would spoil the sums for good.
        """
        place = self.products.device
        z, y = features.to(place).double(), targets.to(place).double()
        if not (z.isfinite().all() and y.isfinite().all()):
            raise ModelError(
                "StreamingRidge: a feature or a target is NaN or infinite, which would spoil the "
                "sums for good. Check the backbone's weights and the labels, or turn amp off."
            )
        self.sums.count += len(z)
        self.sums.weight += weight * len(z)
        self.sums.z += weight * z.sum(0)
        self.sums.y += weight * y.sum(0)
        self.sums.yy += weight * y.square().sum(0)
        self.sums.zy.addmm_(z.T, y, alpha=weight)
        self.products.addmm_(z.T, z, alpha=weight)

    def total(self) -> tuple[SetSums, Tensor]:
        """Add up what the processes of the run have: the sums and `packed` products of all."""
        found = summed({**self.sums.state_dict(), "products": self.products})
        self.products = found.pop("products")
        self.sums = SetSums(**found)
        return self.sums, packed(self.products)


def packed(matrix: Tensor) -> Tensor:
    """Return the upper triangle of a symmetric matrix (p, p), row by row: p (p + 1) / 2 numbers.

    >>> packed(torch.tensor([[1, 2], [2, 3]]))
    tensor([1, 2, 3])
    """
    return torch.cat([matrix[row, row:] for row in range(len(matrix))])


def unpacked(triangle: Tensor, size: int) -> Tensor:
    """Return the symmetric matrix (size, size) of an upper triangle.

    >>> unpacked(torch.tensor([1, 2, 3]), 2)
    tensor([[1, 2],
            [2, 3]])
    """
    matrix = triangle.new_zeros(size, size)
    start = 0
    for row in range(size):
        part = triangle[start : start + size - row]
        matrix[row, row:] = part
        matrix[row:, row] = part
        start += len(part)
    return matrix


class StreamSums:
    """The sums of all data sets of a stream, each under its name.

    Their size depends on p, K and the number of data sets, and not on the number of samples.
    Adding data sets is commutative, up to float64's rounding; with `keep_sets` it is so to the bit,
    as sums are then added in the order of the names.

    Args:
        keep_sets: Keep the products of every set by themselves, 4 p^2 bytes a set, so that one can
            be removed later. Else there is one matrix for all.

    Attributes:
        sets: The small sums by name.
        products: The packed products by name; of all sets together under ``""`` without
            `keep_sets`.
    """

    def __init__(self, keep_sets: bool = False) -> None:
        self.keep_sets = keep_sets
        self.sets: dict[str, SetSums] = {}
        self.products: dict[str, Tensor] = {}

    def add(self, name: str, sums: SetSums, products: Tensor) -> None:
        """Add a pass over a data set, or over another part of one that is there already.

        Args:
            name: Of the data set.
            sums: Its small sums.
            products: (p (p + 1) / 2,), packed.
        """
        self.sets[name] = self.sets[name] + sums if name in self.sets else sums
        key = name if self.keep_sets else ""
        self.products[key] = self.products[key] + products if key in self.products else products

    def remove(self, name: str) -> None:
        """Remove a data set: what remains is what it would be without it.

        Raises:
            ModelError: There is no such set, its products were not kept, or it is the only one.
        """
        if name not in self.sets:
            raise ModelError(
                f"StreamingRidge: has no sums of '{name}'. It has: {', '.join(self.sets)}."
            )
        if not self.keep_sets:
            raise ModelError(
                f"StreamingRidge: the sums of '{name}' were not kept by themselves, so they cannot "
                "be taken away. Train with cl_strategy.keep_sets=True."
            )
        if len(self.sets) == 1:
            raise ModelError(f"StreamingRidge: '{name}' is the only data set; nothing remains.")
        del self.sets[name], self.products[name]

    def merge(self, other: StreamSums) -> None:
        """Add the sums of another machine, over the same features.

        Raises:
            ModelError: One keeps the sets by themselves and the other one does not, or the
                numbers of features or outputs differ.
        """
        if self.keep_sets != other.keep_sets:
            raise ModelError(
                "StreamingRidge: one of the runs has keep_sets=True and one has not. Train both "
                "alike."
            )
        shapes = {tuple(one.zy.shape) for sums in (self, other) for one in sums.sets.values()}
        if len(shapes) > 1:
            raise ModelError(
                f"StreamingRidge: sums over features x outputs of {sorted(shapes)} cannot be "
                "added. Train both runs with the same model."
            )
        for name, sums in other.sets.items():
            self.sets[name] = self.sets[name] + sums if name in self.sets else sums
        for key, products in other.products.items():
            known = self.products.get(key)
            self.products[key] = products if known is None else known + products

    def total_products(self) -> Tensor:
        """Return the sum of z z^T over all sets, (p, p)."""
        parts = [self.products[key] for key in sorted(self.products)]
        size = next(iter(self.sets.values())).z.numel()
        total = parts[0].clone()
        for part in parts[1:]:
            total += part
        return unpacked(total, size)

    def ordered(self) -> list[SetSums]:
        """Return the small sums in the order of the names."""
        return [self.sets[name] for name in sorted(self.sets)]

    def state_dict(self) -> dict[str, Any]:
        """Return all of it as tensors and plain types."""
        return {
            "sets": {name: sums.state_dict() for name, sums in self.sets.items()},
            "products": dict(self.products),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self.sets = {name: SetSums(**sums) for name, sums in state["sets"].items()}
        self.products = dict(state["products"])


def check_removable(sums: StreamSums, name: str, first_session: int, standardize: str) -> None:
    """Refuse to remove the set that the features of all others depend on.

    Args:
        sums: The sums.
        name: The set to remove.
        first_session: The strategy's argument.
        standardize: The strategy's argument.

    Raises:
        ModelError: It is the first one, and the network or what is projected was fitted to it.
    """
    why = "first_session" if first_session else "standardize='first'"
    if (first_session or standardize == "first") and name == next(iter(sums.sets), None):
        raise ModelError(
            f"StreamingRidge with {why}: the features of all sets depend on the first one, "
            f"'{name}', so it cannot be removed. Train again without it."
        )


def total_of(sets: Iterable[SetSums]) -> SetSums:
    """Return the sum of several sets' small sums, added in their order."""
    first, *others = sets
    total = first
    for one in others:
        total = total + one
    return total
