"""Which channels of which layers are left of a model, noted while a copy of it is taken apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from cliqa.deploy.pruning.prunable import ProbeHead, head_layers, head_tensors
from cliqa.models.pruned import Step
from cliqa.utils.errors import ModelError

ATTRIBUTES = (
    "in_channels",
    "out_channels",
    "groups",
    "in_features",
    "out_features",
    "num_features",
    "num_channels",
    "normalized_shape",
)
"""Where torch's layers note their widths."""


class KeptChannels:
    """The channels that are left of a copy's layers.

    Args:
        model: The copy, before anything of it is pruned; it has a `ProbeHead` where it can.

    Attributes:
        model: The copy.
        names: The names of its modules.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.names = {module: name for name, module in model.named_modules()}
        self._before = {name: _widths(module) for module, name in self.names.items()}
        self._kept: dict[tuple[nn.Module, bool], list[int]] = {}

    def record(self, module: nn.Module, out: bool, indexes: Sequence[int]) -> None:
        """Note that a layer loses channels, before it does.

        Args:
            module: A layer of the copy.
            out: Output channels, or input channels.
            indexes: Which of those that it has now.
        """
        key = (module, out or _is_symmetric(module))
        left = self._kept.setdefault(key, list(range(_channels(module, key[1]))))
        gone = set(indexes)
        self._kept[key] = [channel for k, channel in enumerate(left) if k not in gone]

    def step(self, head: nn.Module | None = None) -> Step:
        """Return the channels that were kept, as a step of `cliqa.models.pruned`.

        Args:
            head: The model's own head, where the copy has a `ProbeHead`.
        """
        kept: list[list[int]] = []
        numbers: dict[tuple[int, ...], int] = {}
        tensors: dict[str, list[list[int]]] = {}
        attributes: dict[str, dict[str, list[Any]]] = {}

        def cut(name: str, dimension: int, left: list[int]) -> None:
            if tuple(left) not in numbers:
                numbers[tuple(left)] = len(kept)
                kept.append(left)
            tensors.setdefault(name, []).append([dimension, numbers[tuple(left)]])

        for (module, out), left in self._kept.items():
            name = self.names[module]
            if name == "head.fc" and isinstance(self.model.head, ProbeHead):
                own: Any = head
                for key in head_tensors(own, own.in_channels):
                    cut(f"head.{key}", 1, left)
                attributes.update(_head_attributes(own, len(left)))
                continue
            for key, dimension, part in _cuts(module, out, left):
                cut(f"{name}.{key}", dimension, part)
            before, after = self._before[name], _widths(module)
            attributes[name] = {
                key: [before[key], after[key]] for key in before if before[key] != after[key]
            }
        return {"kept": kept, "tensors": tensors, "attributes": attributes}

    def widths(self) -> dict[str, tuple[int, int]]:
        """Return the output channels before and after of the pruned layers."""
        return {
            self.names[module]: (_before(self._before[self.names[module]]), len(left))
            for (module, out), left in self._kept.items()
            if out and isinstance(module, (_ConvNd, nn.Linear))
        }

    @torch.no_grad()
    def check_equal(self, pruned: nn.Module, example: Tensor) -> None:
        """See that a model pruned by `step` is the one that the library made, and works.

        Raises:
            ModelError: It is not, or it fails.
        """
        own = pruned.state_dict()
        for name, tensor in self.model.state_dict().items():
            if name.startswith("head.") and isinstance(self.model.head, ProbeHead):
                continue
            if not torch.equal(own[name], tensor):
                raise ModelError(
                    f"pruning: '{name}' of the {type(pruned).__name__} cannot be sliced into what "
                    "Torch-Pruning made of it. Leave its part out: ignore=['name of that part']."
                )
        training = [module for module in pruned.modules() if module.training]
        try:
            pruned.eval()(example)
        except (RuntimeError, ValueError, TypeError, IndexError, ModelError) as error:
            raise ModelError(cannot_prune(pruned, error)) from error
        finally:
            for module in training:
                module.training = True


def _cuts(module: nn.Module, out: bool, left: list[int]) -> Iterator[tuple[str, int, list[int]]]:
    """Yield a layer's tensors, the dimension of the channels, and the channels kept."""
    if isinstance(module, (_ConvNd, nn.Linear)):
        turned = isinstance(module, _ConvTransposeNd)
        groups = getattr(module, "groups", 1)
        if out:
            yield "weight", int(turned), left
            if module.bias is not None:
                yield "bias", 0, left
        else:
            yield "weight", int(not turned), left[: len(left) // groups]
        return
    for key, tensor in [*module._parameters.items(), *module._buffers.items()]:
        if tensor is not None and tensor.ndim == 1:
            yield key, 0, left


def _is_symmetric(module: nn.Module) -> bool:
    """Return whether a layer's inputs are its outputs: normalisation, depthwise convolution."""
    if isinstance(module, _ConvNd):
        return module.groups == module.out_channels and module.groups > 1
    return not isinstance(module, nn.Linear)


def _channels(module: nn.Module, out: bool) -> int:
    """Return a layer's output or input channels."""
    if isinstance(module, _ConvNd):
        return module.out_channels if out else module.in_channels
    if isinstance(module, nn.Linear):
        return module.out_features if out else module.in_features
    return _before(_widths(module))


def _before(widths: dict[str, Any]) -> int:
    """Return the output channels among a layer's widths."""
    for key in ("out_channels", "out_features", "num_features", "num_channels"):
        if key in widths:
            return int(widths[key])
    return int(widths["normalized_shape"][-1])


def _widths(module: nn.Module) -> dict[str, Any]:
    """Return the widths that a module knows of."""
    found = {key: getattr(module, key) for key in ATTRIBUTES if hasattr(module, key)}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()}


def _head_attributes(head: nn.Module, width: int) -> dict[str, dict[str, list[int]]]:
    """Return what a head and its first layer know of their inputs, before and after."""
    found = {}
    now = int(head.in_channels)  # type: ignore[arg-type]
    layers = set(head_layers(head, now))
    for name, module in head.named_modules():
        is_layer = isinstance(module, nn.Linear)
        key = "in_features" if is_layer else "in_channels"
        if getattr(module, key, None) == now and (not is_layer or name in layers):
            found[f"head.{name}" if name else "head"] = {key: [now, width]}
    return found


def cannot_prune(model: nn.Module, error: Exception) -> str:
    """Return what to do where a model cannot be taken apart."""
    text = " ".join(str(error).split()) or type(error).__name__
    return (
        f"pruning: the {type(model).__name__} cannot be taken apart ({text}). Leave out the part "
        "that is meant: ignore=['name of that part']."
    )
