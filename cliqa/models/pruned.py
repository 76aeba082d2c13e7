"""Records of channel pruning: which channels of which tensors were kept, in plain types.

A pruning is a list of steps. A step is a dict of plain types, so that a checkpoint can hold it:

* ``kept``: lists of kept indexes, relative to the state before the step.
* ``tensors``: a tensor's name -> pairs ``[dimension, which list of kept]``.
* ``attributes``: a module's name -> ``{attribute: [before, after]}``: ``in_channels`` and the like.

This module does not need the library that selects channels (`cliqa.deploy.pruning.prune`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.lora.layer import LoRALayer
from cliqa.models.lora.narrow import cut_adapter, limit_rank
from cliqa.utils.errors import ModelError

Step = dict[str, Any]
"""One step of a pruning."""

DAMAGE = (KeyError, TypeError, IndexError, ValueError, AttributeError, RuntimeError)
"""Errors raised by an invalid record."""

_SIZES = (int, tuple)
"""Types of attributes that a step may set."""


def pruning_of(model: nn.Module) -> list[Step]:
    """Return a model's pruning steps; empty if it was not pruned."""
    return list(getattr(model, "pruning", ()))


def pruning_in(checkpoint: Mapping[str, Any]) -> list[Step]:
    """Return the pruning steps in a run's checkpoint; empty for other files.

    Raises:
        ModelError: They are not a list.
    """
    strategy = checkpoint.get("strategy")
    found = strategy.get("pruning") if isinstance(strategy, Mapping) else None
    if not isinstance(found, (list, tuple, type(None))):
        raise ModelError(f"the pruning record is damaged: a {type(found).__name__}, not a list.")
    return list(found or ())


@torch.no_grad()
def apply_pruning(
    model: nn.Module, steps: Sequence[Step]
) -> dict[str, tuple[nn.Parameter, nn.Parameter]]:
    """Apply another model's pruning steps to a model, in place; steps that it has are skipped.

    Args:
        model: The model. Parameters that shrink are replaced by new ones, and the steps are stored
            in ``model.pruning``. Adapters of LoRA, which no step names, shrink with their layers.
        steps: All steps of the other model.

    Returns:
        The replaced parameters by name: (before, after).

    Raises:
        ModelError: The model was pruned differently, or lacks a tensor of that size.
    """
    try:
        return _apply(model, steps)
    except DAMAGE as error:
        raise ModelError(
            f"the record of how the {type(model).__name__} was pruned is damaged ({error!r}). Use "
            "another checkpoint of the run."
        ) from error


def _apply(model: nn.Module, steps: Sequence[Step]) -> dict[str, tuple[nn.Parameter, nn.Parameter]]:
    """Apply the steps that a model lacks; arguments and result are `apply_pruning`'s."""
    own = pruning_of(model)
    if own != list(steps[: len(own)]):
        raise ModelError(
            f"the {type(model).__name__} was pruned differently from these weights. Build it "
            "again from its config, and apply only the pruning of the checkpoint."
        )
    replaced: dict[str, tuple[nn.Parameter, nn.Parameter]] = {}
    for step in steps[len(own) :]:
        _check(model, step)
        for name in step["tensors"]:
            _replace(model, name, step, replaced)
        _set_attributes(model, step, after=True)
        for layer, pair in _fitted_adapters(model, step):
            _note(replaced, layer, pair)
        own.append(step)
        model.pruning = list(own)  # type: ignore[assignment]  # a plain attribute, no tensor
    return replaced


def sliced(tensors: Mapping[str, Tensor], step: Step) -> dict[str, Tensor]:
    """Return tensors of the shapes of a model's, such as importances, after a step.

    Args:
        tensors: By the names of the model's tensors.
        step: The step.

    >>> step = {"kept": [[0, 2]], "tensors": {"w": [[0, 0]]}, "attributes": {}}
    >>> sliced({"w": torch.tensor([1, 2, 3]), "v": torch.tensor([4])}, step)
    {'w': tensor([1, 3]), 'v': tensor([4])}
    """
    return {name: slice_of(tensor, name, step) for name, tensor in tensors.items()}


def slice_of(tensor: Tensor, name: str, step: Step) -> Tensor:
    """Return a tensor of the shape of a model's tensor `name` after a step."""
    for dimension, which in step["tensors"].get(name, ()):
        kept = torch.tensor(step["kept"][which], device=tensor.device)
        tensor = tensor.index_select(dimension, kept)
    return tensor


def widen(model: nn.Module, weights: Mapping[str, Tensor], steps: int) -> None:
    """Restore the architecture and the weights of a model before some pruning steps, in place.

    Args:
        model: The model.
        weights: All its tensors at that time.
        steps: The number of its pruning steps at that time.
    """
    for step in reversed(pruning_of(model)[steps:]):
        _set_attributes(model, step, after=False)
    model.pruning = pruning_of(model)[:steps]  # type: ignore[assignment]
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, value in weights.items():
        own[name].data = value  # not copied into: the shapes differ


def _check(model: nn.Module, step: Step) -> None:
    """Refuse a step of another architecture, before changing anything."""
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    modules = dict(model.named_modules())
    problem = ""
    for name, cuts in step["tensors"].items():
        if name not in own:
            problem = f"it has no tensor '{name}'"
            break
        shape = own[name].shape
        if any(d >= len(shape) or step["kept"][k][-1] >= shape[d] for d, k in cuts):
            problem = f"its '{name}' has shape {tuple(shape)}, smaller than what was pruned"
            break
    missing = [name for name in step["attributes"] if name not in modules]
    if not problem and missing:
        problem = f"it has no module '{missing[0]}'"
    for name, attributes in ({} if problem else step["attributes"]).items():
        odd = [key for key in attributes if not isinstance(vars(modules[name]).get(key), _SIZES)]
        problem = problem or (f"'{name}' has no size '{odd[0]}'" if odd else "")
    if problem:
        raise ModelError(
            f"the {type(model).__name__} cannot be pruned like the checkpoint's model: {problem}. "
            "Use the model section of the config of the pruned run."
        )


def _replace(
    model: nn.Module,
    name: str,
    step: Step,
    replaced: dict[str, tuple[nn.Parameter, nn.Parameter]],
) -> None:
    """Replace a tensor by its part after a step.

    A parameter becomes a new object: autograd may still use the old one's shape.
    """
    path, _, key = name.rpartition(".")
    owner = model.get_submodule(path)
    tensor = {**owner._parameters, **owner._buffers}[key]  # an adapted layer computes its `weight`
    if tensor is None:
        raise KeyError(name)
    if isinstance(owner, LoRALayer) and key == "weight":
        for dimension, which in step["tensors"][name]:
            kept = torch.tensor(step["kept"][which], device=tensor.device)
            _note(replaced, path, cut_adapter(owner, dimension, kept))
    left = slice_of(tensor.detach(), name, step).clone()
    if not isinstance(tensor, nn.Parameter):
        setattr(owner, key, left)
        return
    new = nn.Parameter(left, requires_grad=tensor.requires_grad)
    owner._parameters[key] = new
    _note(replaced, path, {key: (tensor, new)})


def _note(
    replaced: dict[str, tuple[nn.Parameter, nn.Parameter]],
    path: str,
    pairs: Mapping[str, tuple[nn.Parameter, nn.Parameter]],
) -> None:
    """Note replaced parameters of a module; the first one before and the last one after count."""
    for key, (before, after) in pairs.items():
        name = f"{path}.{key}" if path else key
        replaced[name] = (replaced[name][0] if name in replaced else before, after)


def _fitted_adapters(
    model: nn.Module, step: Step
) -> Iterator[tuple[str, dict[str, tuple[nn.Parameter, nn.Parameter]]]]:
    """Yield adapted layers that a step has made smaller than their rank, and what was replaced."""
    for name, layer in model.named_modules():
        if isinstance(layer, LoRALayer) and f"{name}.weight" in step["tensors"]:
            yield name, limit_rank(layer)


def _set_attributes(model: nn.Module, step: Step, *, after: bool) -> None:
    """Set the modules' numbers of channels to those after or before a step."""
    for name, attributes in step["attributes"].items():
        module = model.get_submodule(name)
        for key, values in attributes.items():
            value = values[after]
            setattr(module, key, tuple(value) if isinstance(value, list) else value)
