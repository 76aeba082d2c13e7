"""Matching the tensors of a file with those of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path

import torch
from torch import nn

from cliqa.utils.errors import ModelError

LEAST_SHARE = 0.3
"""Minimum share of names with a prefix for it to count as a wrapper's."""

TRAINED = "encoder_q"
"""MoCo's trained encoder, which its authors evaluate; ``encoder_k`` is a moving average of it."""

RESIZING = (RuntimeError, AssertionError, ValueError, TypeError, KeyError, IndexError)
"""Errors of a model's own conversion for tensors of another architecture."""

SAME_ORDER = frozenset({"MobileNetV2", "MobileNetV3", "VGG"})
"""mmpretrain's backbones whose tensors are torchvision's in the same order under other names."""

Tensors = Mapping[str, torch.Tensor]


def best_match(
    file: Tensors, model: Tensors, path: str | Path = "file"
) -> tuple[dict[str, str], str]:
    """Return the change of prefixes under which most of a file fits a model.

    Args:
        file: The file's tensors by name.
        model: The model's tensors by name.
        path: The file's path, for the message.

    Returns:
        The file's name for each of the model's names that the file has (in any shape), and a
        description of the change, empty if the names are equal.

    Raises:
        ModelError: Several parts of the file fit equally well, such as a student and a teacher,
            and none has the model's own names or is `TRAINED`.
    """
    best: dict[str, str] = {}
    best_fits = 0
    change, rivals = ("", ""), [""]
    for strip, add in product(_prefixes(file), _prefixes(model)):
        names = {add + source[len(strip) :]: source for source in file if source.startswith(strip)}
        names = {name: source for name, source in names.items() if name in model}
        fits = sum(model[name].shape == file[source].shape for name, source in names.items())
        if fits > best_fits or (not best and names):
            best, best_fits, change, rivals = names, fits, (strip, add), [strip]
        elif fits == best_fits > 0 and not {*names.values()} & {*best.values()}:
            rivals.append(strip)
            if TRAINED in strip.split("."):
                best, change = names, (strip, add)
    strip, add = change
    if len(rivals) > 1 and strip != add and TRAINED not in strip.split("."):
        found = ", ".join(f"{one}*" for one in rivals)
        raise ModelError(
            f"{path}: several parts of it fit the model equally well: {found}. Choose one: "
            f"load_from=dict(path='...', prefix='{rivals[0].rstrip('.')}')."
        )
    return best, f"renamed '{strip}*' to '{add}*'" if strip or add else ""


def _prefixes(names: Iterable[str]) -> list[str]:
    """Return "" and the dotted prefixes that many names begin with, short ones first."""
    names = list(names)
    counts = Counter(
        name[: index + 1] for name in names for index, letter in enumerate(name) if letter == "."
    )
    common = [prefix for prefix, count in counts.items() if count >= LEAST_SHARE * len(names)]
    return ["", *sorted(common, key=len)]


def match_by_order(file: Tensors, model: nn.Module) -> dict[str, str]:
    """Match torchvision's tensors to an mmpretrain backbone's by their order.

    Args:
        file: The file's tensors, in the order of torchvision's model.
        model: A model that is or contains one of the backbones in `SAME_ORDER`.

    Returns:
        The file's name for each of the backbone's names; nothing unless every shape agrees.
    """
    for path, module in model.named_modules():
        if type(module).__name__ not in SAME_ORDER:
            continue
        own = module.state_dict()
        pairs = list(zip(own, file, strict=False))
        same = all(own[name].shape == file[source].shape for name, source in pairs)
        if same and len(pairs) == len(own):
            start = f"{path}." if path else ""
            return {f"{start}{name}": source for name, source in pairs}
    return {}


def resized(file: Tensors, model: nn.Module, names: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Return the tensors that a model resizes when they are loaded.

    mmpretrain's transformers resize position embeddings of another image size.

    Args:
        file: The file's tensors by name.
        model: The model.
        names: The file's name for each of the model's.

    Returns:
        By the file's names, those that fit now and did not before.
    """
    own = model.state_dict()
    apart = [name for name, source in names.items() if own[name].shape != file[source].shape]
    if not apart:
        return {}
    state = {name: file[source] for name, source in names.items()}
    try:
        for path, module in model.named_modules():
            for hook in module._load_state_dict_pre_hooks.values():
                hook(state, f"{path}." if path else "", {}, True, [], [], [])
    except RESIZING:
        return {}
    return {names[n]: state[n] for n in apart if n in state and state[n].shape == own[n].shape}
