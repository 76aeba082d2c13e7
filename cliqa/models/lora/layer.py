"""A linear or convolutional layer with a low-rank adapter.

Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022: a layer's weight W is
used as W + s B A, where A and B have few values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.utils.errors import ModelError

OWN = ("lora_A", "lora_B", "lora_sum")
"""Tensors that an adapted layer has more than a plain one."""

ROW_NORM = 3**-0.5
"""Expected norm of a fresh row of A (`fresh_rows`)."""


class LoRALayer(nn.Module):
    """What an adapted layer has over ``nn.Linear`` or ``nn.Conv2d``; mixed in before its class.

    The weight that the layer computes with is ``W + lora_sum + scale * B A``. It is put together
    anew at each use, so that code which takes a layer's ``weight`` without calling the layer (as
    torch's attention does) is adapted too, and so that a merged layer gives the same bits. W keeps
    its name in ``state_dict()``: weights of the plain model fit.

    For a convolution s B A is the kernel of two in a row: A of the layer's own size, stride,
    padding, dilation and groups from its inputs to r channels a group, then B of size 1 from them
    to its outputs, with the same groups. The adapter has ``r * (in * k * k + out)`` values.

    Attributes:
        lora_A: (groups * r, in / groups, k, k), or (r, in) of a linear layer.
        lora_B: (out, r).
        lora_sum: What earlier adapters have been folded into, of W's shape; None where nothing is.
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
        """The weight in use; ``base_weight`` is W alone."""
        base = self.base_weight
        return (base if self.lora_sum is None else base + self.lora_sum) + self.delta()

    @property
    def base_weight(self) -> nn.Parameter:
        """The plain layer's weight W."""
        weight: Any = self._parameters["weight"]
        return weight

    @property
    def rank(self) -> int:
        """The adapter's rank r, a group."""
        return self.lora_B.shape[1]

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
        """Start a new adapter: A as He et al. (2015) initialise a layer, B zero.

        Args:
            random: A generator of the CPU.
        """
        self.lora_A.copy_(fresh_rows(self.lora_A.shape, random))
        self.lora_B.zero_()

    @torch.no_grad()
    def fold(self) -> None:
        """Add the adapter to `lora_sum` and set B to zero; W stays as it is.

        Raises:
            ModelError: The adapters were injected without ``accumulate=True``.
        """
        if self.lora_sum is None:
            raise ModelError("this adapter keeps no sum. Inject it with accumulate=True to fold.")
        self.lora_sum += self.delta()
        self.lora_B.zero_()

    def __reduce__(self) -> tuple[Any, ...]:
        return _blank, (self.plain,), self.__dict__


def fresh_rows(shape: Sequence[int], random: torch.Generator) -> Tensor:
    """Return rows of A: uniform in +-1 / sqrt(values of a row), as torch initialises a layer."""
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return torch.empty(tuple(shape)).uniform_(-bound, bound, generator=random)


@cache
def adapted_class(plain: Any) -> type[LoRALayer]:  # noqa: ANN401
    """Return a layer's class with `LoRALayer` mixed in."""
    return type(f"LoRA{plain.__name__}", (LoRALayer, plain), {"plain": plain})


def _blank(plain: Any) -> nn.Module:  # noqa: ANN401
    """Return an empty adapted layer, for pickle and deepcopy to fill."""
    kind = adapted_class(plain)
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
    rank = min(rank, len(weight) // groups, weight[0].numel())
    down = fresh_rows((groups * rank, *weight.shape[1:]), random).to(weight)
    parts = {
        "lora_A": nn.Parameter(down),
        "lora_B": nn.Parameter(weight.new_zeros(len(weight), rank)),
        "lora_sum": torch.zeros_like(weight) if accumulate else None,
    }
    attach(layer, {**parts, "scale": scale})


def attach(layer: nn.Module, parts: dict[str, Any]) -> None:
    """Make a plain layer an adapted one with these parts: the tensors of `OWN`, and the scale."""
    plain: Any = type(layer)
    layer.__class__ = adapted_class(plain)
    layer.scale = parts["scale"]
    layer.register_parameter("lora_A", parts["lora_A"])
    layer.register_parameter("lora_B", parts["lora_B"])
    layer.register_buffer("lora_sum", parts["lora_sum"])


def detach(layer: LoRALayer) -> dict[str, Any]:
    """Make an adapted layer a plain one over W, and return what it had more."""
    parts = {key: getattr(layer, key) for key in (*OWN, "scale")}
    for key in parts:
        delattr(layer, key)
    plain: Any = layer.plain
    layer.__class__ = plain
    return parts
