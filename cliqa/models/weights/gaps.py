"""What a file of weights lacks for a model, and what it has that the model has no place for.

A new head is normal where it is asked for; any other random part (a stem, a branch, a hyper
network) gives other outputs than the file's network, but runs without an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from os.path import commonprefix

import torch
from torch import nn

from cliqa.models.lora.layer import OWN

BACKBONE = "backbone"
"""The backbone's name in models here and in mmpretrain."""

HEADS = ("head", "heads", "head_dist", "neck", "fc", "classifier", "last_linear")
"""Names of heads, in models without a backbone of that name and in files of classifiers."""

STATISTICS = ("running_mean", "running_var")
"""Trained buffers of backbones; all others are computed when the model is built."""

COMPUTED = (
    *("relative_position_index", "relative_coords_table", "attn_mask", "position_ids"),
    *("inv_freq", "total_ops", "total_params", "num_batches_tracked"),
)
"""Tensors in published files that are not weights."""

SHOWN = 4
"""Names or groups of names shown of each list."""

DEEPEST = 4
"""Words of the longest name of a group."""


def learnt(model: nn.Module, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of those tensors that a model's outputs depend on.

    New adapters are not among them: they do not change the outputs. Of a backbone's buffers only
    running statistics are: the others are computed when the model is built.

    Args:
        model: The model.
        names: Some of its tensors.
    """
    trained = {name for name, _ in model.named_parameters() if name.rpartition(".")[2] not in OWN}
    buffers = {
        name
        for name, _ in model.named_buffers()
        if name.rpartition(".")[2] in STATISTICS
        or (is_beside(model, name) and name.rpartition(".")[2] not in (*COMPUTED, *OWN))
    }
    return tuple(name for name in names if name in trained or name in buffers)


def is_beside(model: nn.Module, name: str) -> bool:
    """Return whether a tensor belongs to a head, a neck, or another part beside the backbone.

    Args:
        model: The model. Without a part called ``backbone`` all but `HEADS` is the backbone.
        name: The tensor's.
    """
    part = name.partition(".")[0]
    has_backbone = isinstance(getattr(model, BACKBONE, None), nn.Module)
    return part != BACKBONE if has_backbone else part in HEADS


def new_parts(model: nn.Module, matched: Collection[str], lacking: Iterable[str]) -> set[str]:
    """Return the parts beside the backbone of which a file has nothing that fits.

    Args:
        model: The model.
        matched: Its tensors that the file has.
        lacking: Its tensors that the file has not, or in another shape.
    """
    parts = {name.partition(".")[0] for name in lacking if is_beside(model, name)}
    return parts - {name.partition(".")[0] for name in matched}


def foreign(
    model: nn.Module, file: Mapping[str, torch.Tensor], matched: Collection[str]
) -> tuple[str, ...]:
    """Return the file's weights that belong inside a part of the model which has no place for them.

    They belong to another architecture, with attention beside every convolution, or more blocks.
    The classifier of a backbone's file and the layers after the last level are ignored.

    Args:
        model: The model.
        file: Unmatched tensors, by the names that they would have in the model.
        matched: The model's tensors that the file has.
    """
    inside = [name.split(".")[:-1] for name in matched if not is_beside(model, name)]
    common = commonprefix(inside)  # of lists: the part that holds all of the backbone's others
    there = {name.partition(".")[0] for name in matched if is_beside(model, name)}
    parts = {name for name, _ in model.named_modules()}
    cut = [
        f"{path}.{layer}".lstrip(".")
        for path, module in model.named_modules()
        for layer in getattr(module, "cut_layers", ())
    ]

    def belongs(name: str) -> bool:
        words = name.split(".")[:-1]
        while ".".join(words) not in parts:
            words.pop()
        if words and words[0] in there:
            return True
        below = words[len(common) :] if inside and words[: len(common)] == common else []
        return bool(below) and below[0] not in HEADS

    return tuple(
        name
        for name, tensor in file.items()
        if is_weight(name, tensor)
        and belongs(name)
        and not any(name.startswith(f"{layer}.") for layer in cut)
    )


def strangers(file: Mapping[str, torch.Tensor], cut: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names of weights that are neither a classifier's nor after the last level.

    Args:
        file: A file's tensors that a model has no place for, by the file's names.
        cut: Layers that the model's backbone has left out.
    """
    ends = [f".{layer.partition('.')[2] or layer}." for layer in cut]  # without "body."
    return tuple(
        name
        for name, tensor in file.items()
        if is_weight(name, tensor)
        and not set(name.split(".")) & set(HEADS)
        and not any(end in f".{name}" for end in ends)
    )


def is_weight(name: str, tensor: torch.Tensor) -> bool:
    """Return whether a file's tensor is a trained one, by its type and its name."""
    return tensor.is_floating_point() and name.rpartition(".")[2] not in COMPUTED


def grouped(names: Sequence[str], most: int = SHOWN) -> str:
    """Return names, or where they are many the parts that they belong to, with their number.

    >>> grouped(["head.fc.weight", "head.fc.bias"])
    'head.fc.weight, head.fc.bias'
    >>> grouped([f"head.fc{k}.{kind}" for k in range(3) for kind in ("weight", "bias")])
    'head.fc0.* (2), head.fc1.* (2), head.fc2.* (2), such as head.fc0.weight'
    """
    if len(names) <= most:
        return ", ".join(names)
    groups: Counter[str] = Counter()
    for depth in range(1, DEEPEST + 1):
        deeper = Counter(_group(name, depth) for name in names)
        if groups and len(deeper) > most:
            break
        groups = deeper
    shown = [f"{name} ({n})" if name.endswith("*") else name for name, n in groups.items()]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return f"{', '.join(shown[:most])}{more}, such as {names[0]}"


def _group(name: str, depth: int) -> str:
    """Return the beginning of a name, of so many words."""
    words = name.split(".")
    return name if len(words) <= depth else ".".join([*words[:depth], "*"])
