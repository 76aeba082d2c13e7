"""What of a backbone a file of weights leaves at its random start, or cannot put anywhere.

A new head is the rule; a backbone of which a stem or a branch is random gives other features than
the file's network did, and trains all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from os.path import commonprefix

import torch
from torch import nn

from cliqa.models.lora.layer import OWN

BACKBONE = "backbone"
"""What models here and in mmpretrain call it."""

HEADS = ("head", "heads", "neck", "fc", "classifier", "last_linear")
"""Parts of a model without a backbone of that name which a file need not have."""

STATISTICS = ("running_mean", "running_var")
"""Buffers that are learnt; all others are computed when the model is built."""

COMPUTED = (
    *("relative_position_index", "relative_coords_table", "attn_mask", "position_ids"),
    *("inv_freq", "total_ops", "total_params"),
)
"""Tensors in published files that are no weights."""


def of_backbone(model: nn.Module, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of a model's tensors, by name, that its features depend on and are learnt.

    Fresh adapters are none of them: they change nothing.

    Args:
        model: The model. Without a part called ``backbone`` it is one, but for `HEADS`.
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

    They are what another architecture has more: attention beside every convolution, or more blocks.
    What stands beside the backbone's parts (a head, a later stage) is nothing to it.

    Args:
        model: The model.
        file: What the model has no place for, by the names that it would have in the model.
        matched: The model's tensors that the file has.
    """
    own = [name.split(".")[:-1] for name in of_backbone(model, matched)]
    if not own:
        return ()
    common = commonprefix(own)  # of lists: the part that holds all of the backbone's others
    parts = {name for name, _ in model.named_modules()}
    cut = [f"{path}.{layer}".lstrip(".") for path, layer in _cut_layers(model)]
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


def _cut_layers(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the layers that a backbone in the model has left out, and the path of what had them."""
    for path, module in model.named_modules():
        for layer in getattr(module, "cut_layers", ()):
            yield path, layer


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
    """Return how much of a backbone would be another one than the file's, in words; "" for none.

    Args:
        model: The model.
        lacking: The backbone's tensors that stay at their random start.
        more: The file's weights that the backbone has no place for.
    """
    parts = []
    sizes = {name: tensor.numel() for name, tensor in model.state_dict().items()}
    if lacking:
        own = of_backbone(model, sizes)
        share = sum(sizes[name] for name in lacking) / max(1, sum(sizes[name] for name in own))
        parts.append(
            f"{len(lacking)} of the {len(own)} tensors of its backbone stay random ({share:.1%} of "
            f"its values; {_some(lacking)})"
        )
    if more:
        parts.append(
            f"its backbone has no place for {len(more)} of the file's weights ({_some(more)})"
        )
    return " and ".join(parts)


def _some(names: Collection[str]) -> str:
    """Return the first names."""
    shown = list(names)[:2]
    return ", ".join(shown) + (", ..." if len(names) > len(shown) else "")
