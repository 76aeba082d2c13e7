"""Linear and convolutional layers with a low-rank adapter, and reducing an adapter's rank.

Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022: a layer's weight W is
replaced by W + s B A, where A and B are small. Legend: G groups of a convolution (1 for a linear
layer), r rank, n inputs of a weight's row.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_integer
from cliqa.utils.errors import ConfigError, ModelError

OWN = ("lora_A", "lora_B", "lora_sum")
"""The additional tensors of an adapted layer."""

ROW_NORM = 3**-0.5
"""Expected norm of a new row of A (`fresh_rows`)."""


def check_scale(rank: int, alpha: float) -> None:
    """Refuse adapters of no rank, or that are scaled by nothing.

    Raises:
        ConfigError: One of the two is not above 0.
    """
    check_integer("LoRA", 1, rank=rank)
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not alpha > 0:
        raise ConfigError(f"LoRA: alpha must be a number > 0, got {alpha!r}.")


class LoRALayer(nn.Module):
    """The adapter of an ``nn.Linear`` or ``nn.Conv2d``; mixed in before its class.

    The weight that the layer computes with is ``W + lora_sum + scale * B A``. It is
    computed at each use, so that code which uses a layer's ``weight`` without calling the layer (as
    torch's attention does) is adapted too, and a merged layer is bit-identical. W keeps its name in
    ``state_dict()``: weights of the plain model can be loaded.

    For a convolution s B A is the kernel of two convolutions: A of the layer's own size, stride,
    padding, dilation and groups from its inputs to r channels a group, then B of size 1 from them
    to its outputs, with the same groups. The adapter has ``r * (in * k * k + out)`` values.

    Attributes:
        lora_A: (groups * r, in / groups, k, k), or (r, in) of a linear layer.
        lora_B: (out, r).
        lora_sum: The sum of earlier adapters, of W's shape; None without ``accumulate``.
        scale: s.
        plain: The layer's class without adapters.
    """

    plain: type[nn.Module]
    lora_A: nn.Parameter  # noqa: N815  the paper's names
    lora_B: nn.Parameter  # noqa: N815
    lora_sum: Tensor | None
    scale: float

    @property
    def weight(self) -> Tensor:
        """The weight with the adapter; ``base_weight`` is W alone."""
        base = self.base_weight
        return (base if self.lora_sum is None else base + self.lora_sum) + self.delta()

    @property
    def base_weight(self) -> nn.Parameter:
        """The plain layer's weight W."""
        weight: Any = self._parameters["weight"]
        return weight

    @property
    def rank(self) -> int:
        """The adapter's rank r per group."""
        return self.lora_B.shape[1]

    @property
    def is_trained(self) -> bool:
        """Whether the adapter, or the sum of earlier ones, changes the weight."""
        earlier = self.lora_sum is not None and bool(self.lora_sum.any())
        return earlier or bool(self.lora_B.any())

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return B (groups, out / groups, r) and A (groups, r, in / groups * k * k)."""
        groups = getattr(self, "groups", 1)
        down = self.lora_A.flatten(1).unflatten(0, (groups, -1))
        return self.lora_B.unflatten(0, (groups, -1)), down

    def delta(self) -> Tensor:
        """Return s B A in W's shape, in full precision under any autocast."""
        with torch.autocast(self.lora_A.device.type, enabled=False):
            up, down = self.factors()
            return (self.scale * (up @ down)).reshape(self.base_weight.shape)

    @torch.no_grad()
    def renew(self, random: torch.Generator) -> None:
        """Start a new adapter: A initialised as by He et al. (2015), B zero.

        Args:
            random: A generator of the CPU.
        """
        self.lora_A.copy_(fresh_rows(self.lora_A.shape, random))
        self.lora_B.zero_()

    @torch.no_grad()
    def fold(self) -> None:
        """Add the adapter to `lora_sum` and set B to zero; W does not change.

        Raises:
            ModelError: The adapters were injected without ``accumulate=True``.
        """
        if self.lora_sum is None:
            raise ModelError("this adapter has no sum. Inject it with accumulate=True to fold.")
        self.lora_sum += self.delta()
        self.lora_B.zero_()

    def __reduce__(self) -> tuple[Any, ...]:
        return _blank, (self.plain,), self.__dict__


def fresh_rows(shape: Sequence[int], random: torch.Generator) -> Tensor:
    """Return rows of A: uniform in +-1 / sqrt(values of a row), as torch initialises a layer."""
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return torch.empty(tuple(shape)).uniform_(-bound, bound, generator=random)


@cache
def adapted_class(plain: type[nn.Module]) -> type[LoRALayer]:
    """Return a layer's class with `LoRALayer` mixed in."""
    return type(f"LoRA{plain.__name__}", (LoRALayer, plain), {"plain": plain})


def _blank(plain: type[nn.Module]) -> nn.Module:
    """Return an empty adapted layer, for pickle and deepcopy to fill."""
    kind: type[nn.Module] = adapted_class(plain)  # type: ignore[arg-type]
    return kind.__new__(kind)


def adapt(
    layer: nn.Module, rank: int, scale: float, accumulate: bool, random: torch.Generator
) -> None:
    """Turn a plain layer into an adapted one, in place; its outputs stay the same.

    Args:
        layer: An ``nn.Linear`` or ``nn.Conv2d``.
        rank: r; at most what the weight of a group can have.
        scale: s.
        accumulate: Keep a sum of earlier adapters.
        random: Draws A.
    """
    weight: Any = layer.weight
    groups: Any = getattr(layer, "groups", 1)
    rank = min(rank, most_rank(weight, groups))
    down = fresh_rows((groups * rank, *weight.shape[1:]), random).to(weight)
    parts = {
        "lora_A": nn.Parameter(down),
        "lora_B": nn.Parameter(weight.new_zeros(len(weight), rank)),
        "lora_sum": torch.zeros_like(weight) if accumulate else None,
    }
    attach(layer, {**parts, "scale": scale})


def most_rank(weight: Tensor, groups: int) -> int:
    """Return the largest rank that the weight of a group can have."""
    return min(len(weight) // groups, weight[0].numel())


def attach(layer: nn.Module, parts: dict[str, Any]) -> None:
    """Turn a plain layer into an adapted one: with the tensors of `OWN` and the scale."""
    plain: Any = type(layer)
    layer.__class__ = adapted_class(plain)
    layer.scale = parts["scale"]
    layer.register_parameter("lora_A", parts["lora_A"])
    layer.register_parameter("lora_B", parts["lora_B"])
    layer.register_buffer("lora_sum", parts["lora_sum"])


def detach(layer: LoRALayer) -> dict[str, Any]:
    """Turn an adapted layer into a plain one over W, and return the removed parts."""
    parts = {key: getattr(layer, key) for key in (*OWN, "scale")}
    for key in parts:
        delattr(layer, key)
    plain: Any = layer.plain
    layer.__class__ = plain
    return parts


logger = logging.getLogger(__name__)

ROUNDING = 1e-10
"""Share of the energy that counts as rounding errors of float32 values."""


@torch.no_grad()
def compress(layer: LoRALayer, energy: float) -> list[int]:
    """Reduce an adapter to the smallest rank with a share of its energy, in place.

    The energy is the sum of the squared singular values of s B A. The first rows of A are its right
    singular vectors afterwards; those beyond the rank are zero, and B's columns too.

    Args:
        layer: The layer.
        energy: The share, above 0, up to 1.

    Returns:
        The rank of each group.
    """
    up, down = (factor.double() for factor in layer.factors())  # (G, out / G, r), (G, r, n)
    left, high = torch.linalg.qr(up)
    right, low = torch.linalg.qr(down.mT)
    u, values, v = torch.linalg.svd(high @ low.mT)  # of matrices of r x r at most
    energies = values.square()
    total = energies.sum(1, keepdim=True)
    lost = total - energies.cumsum(1)
    kept = (lost > (1 - energy) * total + ROUNDING * total).sum(1) + (total[:, 0] > 0)
    keep = torch.arange(values.shape[1], device=kept.device) < kept[:, None]  # (G, r)
    scaled = values * keep / ROW_NORM
    layer.lora_B.copy_((left @ u * scaled[:, None]).reshape(layer.lora_B.shape))
    rows = (v @ right.mT) * keep[:, :, None] * ROW_NORM
    layer.lora_A.copy_(rows.reshape(layer.lora_A.shape))
    return [int(rank) for rank in kept]


def cut_down(layers: Mapping[str, LoRALayer], energy: float) -> dict[str, list[int]]:
    """Reduce the adapters of layers, log their ranks and return them, by layer and group.

    Args:
        layers: The layers by name.
        energy: As `compress`.
    """
    ranks = {name: compress(layer, energy) for name, layer in layers.items()}
    every = [rank for groups in ranks.values() for rank in groups]
    logger.info(
        "LoRA: ranks with %.4g of the adapters' energy: %.1f on average, at most %d.",
        energy,
        sum(every) / len(every),
        max(every),
    )
    return ranks


@torch.no_grad()
def refill(layer: LoRALayer, random: torch.Generator) -> None:
    """Reinitialise the rows of A that `compress` removed, so that they can be trained again.

    Args:
        layer: The layer; its outputs do not change.
        random: A generator of the CPU.
    """
    cut = ~layer.lora_A.flatten(1).any(1)
    layer.lora_A[cut] = fresh_rows(layer.lora_A.shape, random).to(layer.lora_A)[cut]
