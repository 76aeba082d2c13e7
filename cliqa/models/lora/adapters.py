"""Adding low-rank adapters to a model's layers, merging them into the weights, and undoing that.

The layers themselves are in `cliqa.models.lora.layer`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from cliqa.config.suggest import closest
from cliqa.models.freezing import matches
from cliqa.models.lora.layer import OWN, LoRALayer, adapt, attach, check_scale, detach
from cliqa.utils.errors import ConfigError, ModelError
from cliqa.utils.seed import generator

WORDS = ("all", "attention", "conv", "linear")
"""Targets that mean kinds of layers."""


def inject(
    model: nn.Module,
    targets: str | Sequence[str] = "all",
    rank: int = 8,
    alpha: float = 16.0,
    *,
    rs: bool = False,
    accumulate: bool = False,
    exclude: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, LoRALayer]:
    """Add adapters to layers of a model, in place; its outputs stay bit-identical.

    Args:
        model: The model. Trainable parameters stay trainable.
        targets: Layers by name, with ``*`` for any text (a name includes everything below it), or
            by kind: ``"conv"``, ``"linear"``, ``"attention"`` (the layers of modules of that
            name) or ``"all"``.
        rank: r, > 0. A layer whose weight (per group) has a smaller rank gets the largest possible
            one.
        alpha: s is ``alpha / rank``, > 0.
        rs: s is ``alpha / sqrt(rank)`` instead (Kalajdzievski, "A rank stabilization scaling
            factor for fine-tuning with LoRA", 2023).
        accumulate: Keep a sum of earlier adapters; see `LoRALayer.fold`.
        exclude: Names of parts without adapters.
        seed: Seed of A.

    Returns:
        The adapted layers by name.

    Raises:
        ConfigError: `rank` or `alpha` is not above 0, or `targets` is empty.
        ModelError: A target matches no layer that can be adapted, or the model has adapters.
    """
    check_scale(rank, alpha)
    if lora_layers(model):
        raise ModelError("the model has adapters already. Call merge(model) before injecting more.")
    scale = alpha / (math.sqrt(rank) if rs else rank)
    for name in target_layers(model, targets, exclude):
        random = generator(seed, "lora", name)
        adapt(model.get_submodule(name), rank, scale, accumulate, random)
    return lora_layers(model)


def target_layers(
    model: nn.Module, targets: str | Sequence[str], exclude: Sequence[str] = ()
) -> list[str]:
    """Return the names of the layers that match targets; the arguments are those of `inject`."""
    adaptable = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d))
        and "weight" in module._parameters  # not parametrized already
        and not matches(name, exclude)
    }
    targets = [targets] if isinstance(targets, str) else list(targets)
    if not targets:
        raise ConfigError(f"LoRA: targets is empty. Name layers, or one of {', '.join(WORDS)}.")
    chosen: set[str] = set()
    for target in targets:
        found = [name for name in adaptable if _is_meant(model, name, target)]
        if not found:
            raise ModelError(
                f"LoRA: targets: '{target}' names no linear or convolutional layer of the "
                f"{type(model).__name__}, heads apart.{closest(target, [*adaptable, *WORDS])}"
            )
        chosen.update(found)
    return [name for name in adaptable if name in chosen]


def _is_meant(model: nn.Module, name: str, target: str) -> bool:
    """Return whether a target matches a layer."""
    layer = model.get_submodule(name)
    if target == "all":
        return True
    if target in ("conv", "linear"):
        return isinstance(layer, nn.Conv2d if target == "conv" else nn.Linear)
    if target == "attention":
        parents = name.split(".")[:-1]
        paths = [".".join(parents[: k + 1]) for k in range(len(parents))]
        kinds = [type(model.get_submodule(path)).__name__.lower() for path in paths]
        words = [*kinds, *(parent.lower() for parent in parents)]
        return any(mark in word for word in words for mark in ("attn", "attention"))
    return matches(name, [target])


def lora_layers(model: nn.Module) -> dict[str, LoRALayer]:
    """Return a model's adapted layers by name."""
    return {name: m for name, m in model.named_modules() if isinstance(m, LoRALayer)}


def is_adapter(name: str) -> bool:
    """Return whether a tensor of this name belongs to an adapter.

    >>> is_adapter("backbone.conv1.lora_A"), is_adapter("backbone.conv1.weight")
    (True, False)
    """
    return name.rpartition(".")[2] in OWN


def lora_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of a model's adapters by name."""
    return {name: p for name, p in model.named_parameters() if is_adapter(name)}


Taken = dict[str, dict[str, Any]]
"""The parts that `merge` removed from a model, by layer."""


@torch.no_grad()
def merge(model: nn.Module) -> Taken:
    """Add the adapters to the weights, in place: the plain architecture with its plain names.

    Returns:
        The removed parts, for `unmerge`.
    """
    taken: Taken = {}
    for name, layer in lora_layers(model).items():
        base, merged = layer.base_weight, layer.weight.detach()
        taken[name] = {"weight": base.detach().clone(), **detach(layer)}
        base.copy_(merged)
    return taken


@torch.no_grad()
def unmerge(model: nn.Module, taken: Taken) -> None:
    """Undo a `merge`, bit-identically.

    Args:
        model: The merged model.
        taken: The result of `merge`.

    Raises:
        ModelError: The model lacks such layers, or has adapters already.
    """
    plain = dict(model.named_modules())
    for name in taken:
        if not isinstance(plain.get(name), (nn.Linear, nn.Conv2d)):
            raise ModelError(
                f"unmerge: the {type(model).__name__} has no layer '{name}'.{closest(name, plain)} "
                "Use the result of merge() for this model."
            )
        if isinstance(plain[name], LoRALayer):
            raise ModelError(f"unmerge: '{name}' has an adapter. Call merge(model) first.")
    for name, values in taken.items():
        layer: Any = plain[name]
        layer.weight.copy_(values["weight"])
        attach(layer, values)
