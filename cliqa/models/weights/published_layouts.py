"""Weights in published layouts as ours: HyperIQA's, its descendants' and pyiqa's; EfficientNets'.

pyiqa (IQA-PyTorch) retrained HyperIQA on scores of 0..1, and uses other names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from torch import Tensor

from cliqa.models.weights.efficientnet_layout import WORDS as OF_EFFICIENTNET
from cliqa.models.weights.efficientnet_layout import (
    from_efficientnet_pytorch,
    is_efficientnet_pytorch,
)
from cliqa.models.weights.iqa_layouts import from_iqa_layout

WORDS = (
    "read in the layout of HyperIQA's published code (where its scores are 0..100, the model needs "
    "score_range=(0, 100))"
)
"""For the report of loaded weights."""

MARKS = {
    "fc1w_conv.weight": WORDS,
    "fc_w_modules.0.weight": "read in pyiqa's layout of HyperIQA",
}
"""A tensor that identifies a layout, and the layout's description."""

Rule = tuple[str, Callable[[re.Match[str]], str]]


def _down(start: str, first: int, end: str = "") -> Callable[[re.Match[str]], str]:
    """Return a function that writes a name with a number counted from 0 instead of `first`."""
    return lambda found: f"{start}{int(found[1]) - first}{end}"


RULES: tuple[Rule, ...] = (
    # layers that make the target net's weights and biases; then the same in pyiqa
    (r"fc(\d)w_(?:conv|fc)(?=\.)", _down("head.hypernet.weights.", 1)),
    (r"fc(\d)b_fc(?=\.)", _down("head.hypernet.biases.", 1)),
    (r"fc_w_modules\.(\d)(?:\.2)?(?=\.)", _down("head.hypernet.weights.", 0)),
    (r"fc_b_modules\.(\d)\.2(?=\.)", _down("head.hypernet.biases.", 0)),
    # local distortion, convolutions and linear layers: in pyiqa; in the published code
    (r"lda_modules\.([0-2])\.0(?=\.)", _down("neck.local.reduce.", 0)),
    (r"lda_modules\.(\d)\.[23](?=\.)", _down("neck.local.project.", 0)),
    (r"(?:res|swin)\.lda(\d)_pool\.0(?=\.)", _down("neck.local.reduce.", 1)),
    (r"(?:res|swin)\.lda(\d)_fc(?=\.)", _down("neck.local.project.", 1)),
    # 1x1 convolutions before the hyper network
    (r"(?:conv1|fusion_conv)(?=\.)", lambda _: "neck.fusion.reduce"),
    # MS-HyperIQA's pyramid, and the CBAM of each level
    (r"fpn\.lateral_conv(\d)(?=\.)", _down("neck.fusion.pyramid.lateral.", 2)),
    (r"fpn\.smooth_conv(\d)(?=\.)", _down("neck.fusion.pyramid.smooth.", 2)),
    (
        r"attention_p(\d)\.channel_attention\.fc(?=\.)",
        _down("neck.fusion.attention.", 2, ".channel"),
    ),
    (
        r"attention_p(\d)\.spatial_attention\.conv(?=\.)",
        _down("neck.fusion.attention.", 2, ".place"),
    ),
    # Swin-HyperIQA's weights of the stages
    (r"multiscale_attention\.attention_net(?=\.)", lambda _: "neck.fusion.attention.net"),
)
"""The beginning of a name, and its replacement; the first match is used.

The backbone's names begin with ``res.`` (in pyiqa ``base_model.``), or ``swin.backbone.``.
"""

BLOCK = (
    (re.compile(r"^patch_embed\.proj\."), lambda _: "features.0.0."),
    (re.compile(r"^patch_embed\.norm\."), lambda _: "features.0.2."),
    (re.compile(r"^layers_(\d)\.downsample\."), lambda found: f"features.{2 * int(found[1])}."),
    (re.compile(r"^layers_(\d)\.blocks\."), lambda found: f"features.{2 * int(found[1]) + 1}."),
    (re.compile(r"\.mlp\.fc1\."), lambda _: ".mlp.0."),
    (re.compile(r"\.mlp\.fc2\."), lambda _: ".mlp.3."),
)
"""timm's names of a Swin transformer's layers as torchvision's; all matches are replaced."""


def from_published(
    file: dict[str, Tensor], model: Collection[str]
) -> tuple[dict[str, Tensor], str]:
    """Return a file's tensors under this package's names, if it is in the published layout.

    Args:
        file: Tensors by name.
        model: The tensor names of the target model, for its backbone's prefix.

    Returns:
        The tensors under our names and a description; the file itself and "" if it has another
        layout.
    """
    if is_efficientnet_pytorch(file, model):
        return from_efficientnet_pytorch(file, model), OF_EFFICIENTNET
    found = [(name, mark) for mark in MARKS for name in file if f".{name}".endswith(f".{mark}")]
    if not found:
        renamed, words = from_iqa_layout(file, model)
        return (renamed, words) if words else (file, "")
    name, mark = found[0]
    prefix = name.removesuffix(mark)
    own = any(name.startswith("backbone.body.") for name in model)
    backbone = "backbone.body." if own else "backbone."
    renamed = {}
    for name, tensor in file.items():
        if name.endswith("attn.relative_position_index"):
            tensor = tensor.flatten()  # torchvision's has one axis
        if name.startswith(prefix) and not name.endswith(".attn_mask"):  # timm recomputes it
            renamed[our_name(name[len(prefix) :], backbone)] = tensor
    return renamed, MARKS[mark]


def our_name(name: str, backbone: str = "backbone.body.") -> str:
    """Return this package's name of a published tensor; an unknown name is not changed.

    Args:
        name: The published name, without a wrapper's prefix.
        backbone: Prefix of our names of the backbone's tensors.

    >>> our_name("res.lda2_fc.bias"), our_name("fc5w_fc.weight")
    ('neck.local.project.1.bias', 'head.hypernet.weights.4.weight')
    >>> our_name("swin.backbone.layers_1.blocks.0.mlp.fc1.weight")
    'backbone.body.features.3.0.mlp.0.weight'
    """
    for pattern, write in RULES:
        found = re.match(pattern, name)
        if found:
            return write(found) + name[found.end() :]
    if name.startswith("swin.backbone."):
        name = name.removeprefix("swin.backbone.")
        for inner, write in BLOCK:
            name = inner.sub(write, name)
        return backbone + name
    return re.sub(r"^(?:res|base_model)\.", lambda _: backbone, name)
