"""timm's ResNets and vision transformers in mmpretrain's backbones of the same structure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from torch import Tensor

WORDS = "read in timm's layout"
"""For the report of loaded weights."""


class Layout(NamedTuple):
    """A part of a network under timm's names.

    Attributes:
        timm: How a name in timm's file ends, by which the layout is known.
        ours: How a name of the same part ends in mmpretrain's backbone.
        top: Whether `timm` has all of the name except for a wrapper's prefix; then `rules` apply to
            what follows that prefix, else anywhere behind a dot.
        rules: Beginnings of names and their replacements.
    """

    timm: str
    ours: str
    top: bool
    rules: Mapping[str, str]


LAYOUTS = (
    Layout(  # ResNetV1c, ResNetV1d, Res2Net, ResNeSt: a stem of three convolutions
        "conv1.6.weight",
        "stem.2.conv.weight",
        True,
        {
            **{r"conv1\.0\.": "stem.0.conv.", r"conv1\.1\.": "stem.0.bn."},
            **{r"conv1\.3\.": "stem.1.conv.", r"conv1\.4\.": "stem.1.bn."},
            **{r"conv1\.6\.": "stem.2.conv.", r"bn1\.": "stem.2.bn."},
        },
    ),
    Layout(  # ResNetV1d, ResNeSt: no layer where timm has an average over one pixel
        "layer1.0.downsample.2.weight",
        "layer1.0.downsample.0.weight",
        True,
        {rf"layer1\.0\.downsample\.{k}\.": f"layer1.0.downsample.{k - 1}." for k in (1, 2)},
    ),
    Layout(  # SEResNet, SEResNeXt
        "se.fc1.weight",
        "se_layer.conv1.conv.weight",
        False,
        {r"se\.fc1\.": "se_layer.conv1.conv.", r"se\.fc2\.": "se_layer.conv2.conv."},
    ),
    Layout(  # VisionTransformer
        "blocks.0.mlp.fc1.weight",
        "layers.0.ffn.layers.0.0.weight",
        True,
        {
            r"patch_embed\.proj\.": "patch_embed.projection.",
            r"blocks\.(\d+)\.norm([12])\.": r"layers.\1.ln\2.",
            r"blocks\.(\d+)\.mlp\.fc1\.": r"layers.\1.ffn.layers.0.0.",
            r"blocks\.(\d+)\.mlp\.fc2\.": r"layers.\1.ffn.layers.1.",
            r"blocks\.": "layers.",
            r"norm\.": "ln1.",
        },
    ),
)


def from_timm(file: Mapping[str, Tensor], model: Collection[str]) -> dict[str, Tensor] | None:
    """Return a file's tensors under mmpretrain's names; None for other files and models.

    Args:
        file: Tensors by name.
        model: The tensor names of the target model.
    """
    renamed = dict(file)
    for layout in LAYOUTS:
        found = [name for name in file if f".{name}".endswith(f".{layout.timm}")]
        if found and any(f".{name}".endswith(f".{layout.ours}") for name in model):
            prefix = found[0].removesuffix(layout.timm) if layout.top else None
            renamed = {_renamed(name, layout, prefix): t for name, t in renamed.items()}
    return None if renamed.keys() == file.keys() else renamed


def _renamed(name: str, layout: Layout, prefix: str | None) -> str:
    """Return mmpretrain's name of a tensor; a name outside the layout is not changed."""
    for pattern, new in layout.rules.items():
        if prefix is None:
            other = re.sub(rf"(?<=\.){pattern}", new, name)
        elif name.startswith(prefix):
            other = prefix + re.sub(rf"^{pattern}", new, name[len(prefix) :])
        else:
            return name
        if other != name:
            return other
    return name
