"""Gaps of a backbone's weights: tensors that a file lacks, or has too many of.

A new head is normal; a backbone with a random stem or branch has other features than the file's
network, but trains without an error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from os.path import commonprefix

import torch
from torch import nn

from cliqa.config.suggest import listed
from cliqa.models.lora.layer import OWN

BACKBONE = "backbone"
"""The backbone's name in models here and in mmpretrain."""

HEADS = ("head", "heads", "neck", "fc", "classifier", "last_linear")
"""Parts that a file need not have, for a model without a backbone of that name."""

STATISTICS = ("running_mean", "running_var")
"""Trained buffers; all others are computed when the model is built."""

COMPUTED = (
    *("relative_position_index", "relative_coords_table", "attn_mask", "position_ids"),
    *("inv_freq", "total_ops", "total_params"),
)
"""Tensors in published files that are not weights."""


def of_backbone(model: nn.Module, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of a model's trained tensors that its features depend on.

    New adapters are not among them: they do not change the features.

    Args:
        model: The model. Without a part called ``backbone`` all but `HEADS` is the backbone.
        names: Some of its tensors.
    """
    learnt = {name for name, _ in model.named_parameters() if name.rpartition(".")[2] not in OWN}
    return tuple(
        name
        for name in names
        if (name in learnt or name.rpartition(".")[2] in STATISTICS) and not _is_beside(model, name)
    )


def _is_beside(model: nn.Module, name: str) -> bool:
    """Return whether a tensor belongs to a head, a neck, or another part beside the backbone."""
    part = name.partition(".")[0]
    has_backbone = isinstance(getattr(model, BACKBONE, None), nn.Module)
    return part != BACKBONE if has_backbone else part in HEADS


def foreign(
    model: nn.Module, file: Mapping[str, torch.Tensor], matched: Collection[str]
) -> tuple[str, ...]:
    """Return the file's weights that belong inside a part of the backbone which lacks them.

    They belong to another architecture, with attention beside every convolution, or more blocks.
    Parts outside the backbone (a head, a later stage) are ignored.

    Args:
        model: The model.
        file: Unmatched tensors, by the names that they would have in the model.
        matched: The model's tensors that the file has.
    """
    own = [name.split(".")[:-1] for name in of_backbone(model, matched)]
    if not own:
        return ()
    common = commonprefix(own)  # of lists: the part that holds all of the backbone's others
    parts = {name for name, _ in model.named_modules()}
    cut = [
        f"{path}.{layer}".lstrip(".")
        for path, module in model.named_modules()
        for layer in getattr(module, "cut_layers", ())
    ]
    found = []
    for name, tensor in file.items():
        words = name.split(".")[:-1]
        while ".".join(words) not in parts:
            words.pop()
        below = words[len(common) :] if words[: len(common)] == common else []
        inside = bool(below) and below[0] not in HEADS
        weight = tensor.is_floating_point() and name.rpartition(".")[2] not in COMPUTED
        if inside and weight and not any(name.startswith(f"{layer}.") for layer in cut):
            found.append(name)
    return tuple(found)


def partial_parts(
    model: nn.Module, matched: Collection[str], lacking: Collection[str]
) -> tuple[str, ...]:
    """Return the parts beside the backbone of which a file has some tensors and lacks others.

    Args:
        model: The model.
        matched: Its tensors that the file has.
        lacking: Its tensors that the file has not, or in another shape.
    """
    there, missing = (
        {name.partition(".")[0] for name in names if _is_beside(model, name)}
        for names in (matched, lacking)
    )
    return tuple(sorted(there & missing))


def gap_text(model: nn.Module, lacking: Collection[str], more: Collection[str]) -> str:
    """Return a text on how a backbone would differ from the file's; "" if it does not.

    Args:
        model: The model.
        lacking: The backbone's tensors that stay random.
        more: The file's weights that the backbone has no place for.
    """
    parts = []
    sizes = {name: tensor.numel() for name, tensor in model.state_dict().items()}
    if lacking:
        own = of_backbone(model, sizes)
        share = sum(sizes[name] for name in lacking) / max(1, sum(sizes[name] for name in own))
        parts.append(
            f"{len(lacking)} of the {len(own)} tensors of its backbone stay random ({share:.1%} of "
            f"its values; {listed(lacking, 2)})"
        )
    if more:
        parts.append(
            f"its backbone has no place for {len(more)} of the file's weights ({listed(more, 2)})"
        )
    return " and ".join(parts)
