"""EfficientNets in the layout of lukemelas' EfficientNet-PyTorch, as timm's.

There, blocks are counted through (``_blocks.3``); timm counts stages and blocks in them
(``blocks.2.0``). The layout is also that of the packages in `cliqa.models.weights.packages`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

MARK = "_conv_stem.weight"
"""A tensor that identifies the layout."""

WORDS = "read in the layout of EfficientNet-PyTorch"
"""For the report of loaded weights."""

OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
"""Layers before and after the blocks."""

SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}

INVERTED = {
    **{"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"},
    **{"_project_conv": "conv_pwl", "_bn2": "bn3"},
    **SQUEEZE,
}
"""Layers of a block that first expands the channels."""

SEPARABLE = {
    **{"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"},
    **SQUEEZE,
}
"""Layers of a block that does not."""

BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(.+)")
TIMM_BLOCK = re.compile(r"(?:^|\.)blocks\.(\d+)\.(\d+)\.")


def is_efficientnet_pytorch(file: Iterable[str], model: Iterable[str]) -> bool:
    """Return whether a file has the layout's names, and a model timm's of an EfficientNet."""
    return MARK in file and any(f".{name}".endswith(".conv_stem.weight") for name in model)


def from_efficientnet_pytorch(
    file: Mapping[str, Tensor], model: Iterable[str]
) -> dict[str, Tensor]:
    """Return a file's tensors under timm's names; those without a place keep their names.

    Args:
        file: The tensors in EfficientNet-PyTorch's layout.
        model: The tensor names of the model, which tell how many blocks each stage has.
    """
    found = {m.groups() for m in map(TIMM_BLOCK.search, model) if m}
    places = [f"blocks.{s}.{b}" for s, b in sorted((int(s), int(b)) for s, b in found)]
    expanding = {m[1] for m in map(BLOCK.fullmatch, file) if m and m[2] == "_expand_conv"}
    return {_timm_name(name, places, expanding): tensor for name, tensor in file.items()}


def _timm_name(name: str, places: list[str], expanding: set[str]) -> str:
    """Return timm's name of a tensor.

    Args:
        name: Its name in the file.
        places: timm's blocks in order.
        expanding: Numbers of the file's blocks that expand the channels.
    """
    block = BLOCK.fullmatch(name)
    if block is None:
        layer, _, value = name.partition(".")
        return f"{OUTSIDE.get(layer, layer)}.{value}"
    number, layer, value = block.groups()
    names = INVERTED if number in expanding else SEPARABLE
    if layer not in names or int(number) >= len(places):
        return name
    return f"{places[int(number)]}.{names[layer]}.{value}"
