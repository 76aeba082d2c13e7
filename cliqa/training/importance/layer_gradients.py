"""Gradients of single samples, layer by layer, from one pass over a batch.

What reaches a layer's output in the backward pass, and what went into it, is all that the gradient
of a sample takes (Goodfellow, "Efficient per-example gradient computations", 2015). Legend: B
samples, N crops of each.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from cliqa.training.importance.layer_sums import is_known, layer_sums
from cliqa.training.loop.batching import model_output
from cliqa.utils.errors import ModelError

Weights = dict[str, Tensor]


class NotByLayerError(ModelError):
    """The model does something with its weights that its layers do not tell."""


class LayerGradients:
    """Sums over a batch's samples of ``|d objective / d theta| ** power``.

    Works where every trainable parameter is the weight or the bias of a linear layer, a convolution
    or a normalisation, used once a pass, with the samples along the first axis.

    Args:
        model: In evaluation mode.
        names: The trainable parameters.
        power: 1 or 2.

    Raises:
        NotByLayerError: A trainable parameter belongs to anything else.
    """

    def __init__(self, model: nn.Module, names: set[str], power: int) -> None:
        self.model = model
        self.power = power
        self.layers: dict[str, nn.Module] = {}
        for name in names:
            prefix, _, own = name.rpartition(".")
            layer = model.get_submodule(prefix)
            if own not in ("weight", "bias") or not is_known(layer):
                raise NotByLayerError(f"{name} is of a {type(layer).__name__}")
            self.layers[prefix] = layer
        self._names = names

    def sums(
        self,
        objective: Callable[[Tensor, Tensor], Tensor],
        weights: Weights,
        inputs: Tensor,
        targets: Tensor,
    ) -> Weights:
        """Return the sums over a batch.

        Args:
            objective: A sample's output and target -> a scalar.
            weights: The trainable weights, detached.
            inputs: (B, ...) or crops (B, N, C, H, W).
            targets: (B, ...).

        Raises:
            NotByLayerError: A layer is used twice, or sees no samples along its first axis.
        """
        crops = inputs.shape[1] if inputs.dim() == 5 else 1
        found: Weights = {}
        seen: set[str] = set()
        handles = []
        for prefix, layer in self.layers.items():
            hook = self._hook(prefix, layer, len(targets), crops, found, seen)
            handles.append(layer.register_forward_hook(hook))
        try:
            with torch.enable_grad():
                outputs = model_output(lambda x: functional_call(self.model, weights, (x,)), inputs)
                values = torch.func.vmap(objective)(outputs, targets)
                if values.requires_grad:
                    values.sum().backward()
        finally:
            for handle in handles:
                handle.remove()
        return found

    def _hook(
        self,
        prefix: str,
        layer: nn.Module,
        samples: int,
        crops: int,
        found: Weights,
        seen: set[str],
    ) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        """Return what notes a layer's input, and its gradients once the backward pass is there."""

        def forward(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if prefix in seen:
                raise NotByLayerError(f"{prefix} is used twice")
            seen.add(prefix)
            value = args[0].detach()
            if len(value) != samples * crops or len(output) != samples * crops:
                raise NotByLayerError(f"{prefix} sees no samples along its first axis")
            version = value._version
            if not output.requires_grad:
                output = output.requires_grad_().clone()  # a clone may be changed in place

            def backward(slope: Tensor) -> None:
                if value._version != version:
                    raise NotByLayerError(f"the input of {prefix} was changed in place")
                parts = layer_sums(layer, value, slope.detach(), crops, self.power)
                for own, total in parts.items():
                    name = f"{prefix}.{own}" if prefix else own
                    if name in self._names:
                        found[name] = total

            output.register_hook(backward)
            return output

        return forward
