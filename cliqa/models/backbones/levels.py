"""The levels of any backbone, found by running it: the stem and the end of every stage."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cliqa.config.suggest import closest, listed
from cliqa.models.lora.adapters import merge
from cliqa.models.necks.map_statistics import map_statistics
from cliqa.models.outputs import is_channels_last, last_output
from cliqa.utils.errors import ModelError

MAP, CHANNELS_LAST, TOKENS, TOKENS_FIRST = "map", "channels_last", "tokens", "tokens_first"
LAYOUTS = (MAP, CHANNELS_LAST, TOKENS, TOKENS_FIRST)
"""Forms of a level: (B, C, h, w), (B, h, w, C), (B, N, C) and (N, B, C)."""

FEW = 4
"""With fewer levels than this, such as in a plain vision transformer, whose blocks all have the
same number of tokens, four evenly spaced blocks are levels too."""

Levels = dict[str, str]
"""Names of modules of the backbone, in their order, with the forms of their outputs."""


class _Call(NamedTuple):
    """A module that gave something like a map, in the order in which modules end."""

    name: str
    layout: str
    positions: int
    is_convolution: bool


def backbone_of(network: nn.Module) -> nn.Module:
    """Return a model's part ``backbone``, or the model itself."""
    part = getattr(network, "backbone", None)
    return part if isinstance(part, nn.Module) else network


@torch.no_grad()
def find_levels(network: nn.Module, images: Tensor, names: Sequence[str] | None = None) -> Levels:
    """Return the levels of a network's backbone, by a forward pass over images.

    Of the modules that give maps or tokens with the same number of positions, the last one is a
    level: the end of each stage, and not the first layers of the block that ends at another size.
    The first convolution is one too where its stage goes on after it (ConvNeXt, EfficientNet); in a
    ResNet the stem has a size of its own. Pooled vectors are none. A network without any such
    module, such as one over stored features, has no level.

    Args:
        network: A model with a part ``backbone``, or a backbone; in evaluation mode.
        images: (B, C, H, W); two are enough.
        names: Modules of the backbone to take instead: ``["layer1", "layer2"]``.

    Raises:
        ModelError: A named module does not exist, or gives neither maps nor tokens.
    """
    images = images if len(images) == 2 else torch.cat([images, images])[:2]
    probe = copy.deepcopy(network)
    merge(probe)  # inner names of adapters are gone once they are merged
    calls = _calls(probe, images)
    if names is not None:
        return _named(probe, calls, names)
    groups: dict[int, list[_Call]] = {}
    for call in calls:
        groups.setdefault(call.positions, []).append(call)
    if len(groups) > 1:
        groups.pop(1, None)  # pooled
    inner = _inner(calls)
    ends = {k: [c for c in group if c.name not in inner] or group for k, group in groups.items()}
    chosen = {group[-1].name for group in ends.values()}
    first = next(iter(groups.values()), [])
    convolutions = [call.name for call in first if call.is_convolution]
    if len(convolutions) > 1:
        chosen.add(convolutions[0])
    if len(chosen) < FEW:
        chosen |= _spaced(backbone_of(probe), groups)
    return {call.name: call.layout for call in calls if call.name in chosen}


@torch.no_grad()
def level_statistics(
    network: nn.Module, images: Tensor, levels: Mapping[str, str], statistics: Sequence[str]
) -> Tensor:
    """Return statistics (B, D) of a network's levels for images (B, C, H, W), in float32.

    Args:
        network: As `find_levels`.
        images: (B, C, H, W), or what else the network takes where there is no level.
        levels: What `find_levels` found; the features themselves (B, D) where that is nothing.
        statistics: Names of `map_statistics`.
    """
    if not levels:
        return pooled_features(network, images).float()
    found: dict[str, Tensor] = {}
    modules = dict(backbone_of(network).named_modules())

    def keep(name: str, layout: str) -> Any:  # noqa: ANN401  a hook of torch's
        def hook(_: nn.Module, __: object, output: object) -> None:
            level = _as_map(_tensor(output), layout)  # type: ignore[arg-type]
            found[name] = map_statistics([level.float()], statistics)

        return hook

    with ExitStack() as hooks:
        for name, layout in levels.items():
            hooks.callback(modules[name].register_forward_hook(keep(name, layout)).remove)
        _run(network, images)
    return torch.cat([found[name] for name in levels], dim=1)


def pooled_features(network: nn.Module, images: Tensor) -> Tensor:
    """Return a network's features (B, D): the last of several outputs, the mean of maps."""
    give: Any = network.features if hasattr(network, "features") else network.extract_feat
    last = last_output(give(images), type(network).__name__)
    return last.flatten(2).mean(2) if last.dim() == 4 else last


def _run(network: nn.Module, images: Tensor) -> None:
    """Run the backbone, or what gives the features of a network without one."""
    backbone, own = backbone_of(network), getattr(network, "features", None)
    if backbone is not network or own is None:
        backbone(images)
    else:
        own(images)


def _calls(network: nn.Module, images: Tensor) -> list[_Call]:
    """Return the modules that gave maps or tokens, in the order in which they ended."""
    calls: list[_Call] = []

    def keep(name: str) -> Any:  # noqa: ANN401  a hook of torch's
        def hook(module: nn.Module, _: object, output: object) -> None:
            tensor = _tensor(output)
            layout = None if tensor is None else _layout(tensor, images.shape)
            if tensor is not None and layout is not None:
                positions = _as_map(tensor, layout).shape[2:].numel()
                calls.append(_Call(name, layout, positions, isinstance(module, nn.Conv2d)))

        return hook

    with ExitStack() as hooks:
        for name, module in backbone_of(network).named_modules():
            if name and not isinstance(module, (nn.Dropout, nn.Softmax)):  # matrices of attention
                hooks.callback(module.register_forward_hook(keep(name)).remove)
        _run(network, images)
    names = [call.name for call in calls]
    return [call for call in calls if names.count(call.name) == 1]  # a shared ReLU is no level


def _inner(calls: Sequence[_Call]) -> set[str]:
    """Return the modules inside a block that ends at another size than theirs.

    A part with more than two sizes holds whole stages, and is no block.
    """
    ends = {call.name: call.positions for call in calls}
    sizes: dict[str, set[int]] = {}
    for call in calls:
        for parent in _parents(call.name):
            sizes.setdefault(parent, {ends.get(parent, 1)}).add(call.positions)
    return {
        call.name
        for call in calls
        for parent in _parents(call.name)
        if len(sizes[parent] - {1}) == 2 and ends.get(parent) not in (None, call.positions)
    }


def _parents(name: str) -> list[str]:
    """Return the names of the modules around a module.

    >>> _parents("a.b.c")
    ['a', 'a.b']
    """
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _tensor(output: object) -> Tensor | None:
    """Return a module's output, or the first of several, if it is a tensor."""
    first = output[0] if isinstance(output, (tuple, list)) and output else output
    return first if isinstance(first, Tensor) else None


def _layout(output: Tensor, images: torch.Size) -> str | None:
    """Return the form of an output for a batch of images, None if it is neither map nor tokens."""
    shape = output.shape
    if len(images) != 4:  # stored features
        return None
    if output.dim() == 3:
        return TOKENS if shape[0] == images[0] else TOKENS_FIRST if shape[1] == images[0] else None
    if output.dim() != 4 or shape[0] != images[0]:
        return None
    if images[2] != images[3]:
        return CHANNELS_LAST if is_channels_last(shape, images) else MAP
    if shape[2] == shape[3]:
        return MAP
    return CHANNELS_LAST if shape[1] == shape[2] else None  # neither: the heads of an attention


def _as_map(output: Tensor, layout: str) -> Tensor:
    """Return an output of any form as maps (B, C, h, w)."""
    if layout == CHANNELS_LAST:
        return output.permute(0, 3, 1, 2)
    if layout == TOKENS:
        return output.transpose(1, 2)[..., None]
    return output.permute(1, 2, 0)[..., None] if layout == TOKENS_FIRST else output


def _spaced(backbone: nn.Module, groups: Mapping[int, Sequence[_Call]]) -> set[str]:
    """Return four evenly spaced blocks of the longest chain with the same number of positions."""
    chains: list[list[str]] = []
    for group in groups.values():
        names = {call.name for call in group}
        for parent, module in backbone.named_modules():
            if isinstance(module, (nn.ModuleList, nn.Sequential)):
                children = [f"{parent}.{key}".lstrip(".") for key, _ in module.named_children()]
                chains.append([name for name in children if name in names])
    longest = max(chains, key=len, default=[])
    if len(longest) < FEW:
        return set()
    return {longest[round(part * len(longest) / FEW) - 1] for part in range(1, FEW + 1)}


def _named(network: nn.Module, calls: Sequence[_Call], names: Sequence[str]) -> Levels:
    """Return the levels that a user named.

    Raises:
        ModelError: See `find_levels`.
    """
    known = {call.name: call.layout for call in calls}
    modules = dict(backbone_of(network).named_modules())
    for name in names:
        if name not in modules:
            raise ModelError(
                f"levels: the {type(backbone_of(network)).__name__} has no module '{name}'."
                f"{closest(name, known)} Modules that give maps or tokens: {listed(known)}."
            )
        if name not in known:
            raise ModelError(
                f"levels: '{name}' gives neither maps (B, C, h, w) nor tokens (B, N, C), or takes "
                f"part more than once. Modules that do: {listed(known)}."
            )
    return {name: known[name] for name in names}
