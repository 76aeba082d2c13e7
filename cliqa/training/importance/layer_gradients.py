"""Per-sample gradients, layer by layer, from one pass over a batch.

They are computed from a layer's input and the gradient of its output (Goodfellow, "Efficient
per-example gradient computations", 2015). Legend: B samples, N crops of each, I and O a layer's
inputs and outputs (I of a convolution counts its kernel's positions), L positions that share
weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from cliqa.training.importance.sample_products import convolution_sums, product_sums
from cliqa.training.loop.batching import model_output
from cliqa.utils.errors import ModelError

Weights = dict[str, Tensor]


class NotByLayerError(ModelError):
    """The gradients cannot be computed layer by layer for this model."""


class LayerGradients:
    """Sums over a batch's samples of ``|d objective / d theta| ** power``.

    It needs every trainable parameter to be the weight or the bias of a linear layer, a convolution
    or a normalisation, used once per pass, with the samples along the first axis.

    Args:
        model: In evaluation mode.
        names: The trainable parameters.
        power: 1 or 2.

    Raises:
        NotByLayerError: A trainable parameter belongs to another kind of layer.
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
            NotByLayerError: A layer is used twice, or its first axis is not the samples.
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
        """Return a hook that stores a layer's input, and its gradients in the backward pass."""

        def forward(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if prefix in seen:
                raise NotByLayerError(f"{prefix} is used twice")
            seen.add(prefix)
            value = args[0].detach()
            if len(value) != samples * crops or len(output) != samples * crops:
                raise NotByLayerError(f"{prefix} has no samples along its first axis")
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


BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
NORMS = (*BATCH_NORMS, nn.LayerNorm, nn.GroupNorm)


def layer_sums(
    layer: nn.Module, value: Tensor, slope: Tensor, crops: int, power: int
) -> dict[str, Tensor]:
    """Return the sums of a layer's weight and bias.

    Args:
        layer: A kind of layer that `is_known` accepts.
        value: Its input, (B * N, ...).
        slope: The gradient of its output, (B * N, ...).
        crops: N.
        power: 1 or 2.
    """
    if isinstance(layer, NORMS):
        slope, ready = (_last(t, layer, crops) for t in (slope, _normal(layer, value)))
        own = (slope * ready).sum(2).abs().pow(power).sum(0)
        bias = slope.sum(2).abs().pow(power).sum(0)
        shape = layer.weight.shape
        return {"weight": own.view(shape), "bias": bias.view(shape)}
    if isinstance(layer, nn.Conv2d):
        bias = _joined(slope.flatten(2), crops).sum(2).abs().pow(power).sum(0)
        return {"weight": convolution_sums(layer, value, slope, crops, power), "bias": bias}
    count = len(value) // crops
    value, slope = (t.reshape(count, -1, t.shape[-1]) for t in (value, slope))  # (B, L, I), (.., O)
    bias = slope.sum(1).abs().pow(power).sum(0)
    return {"weight": product_sums(slope, value, power), "bias": bias}


def is_known(layer: nn.Module) -> bool:
    """Return whether a layer's gradients follow from its input and its output's gradient."""
    if type(layer) is nn.Conv2d:
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if type(layer) in BATCH_NORMS:
        return getattr(layer, "running_mean", None) is not None
    return type(layer) in (nn.Linear, nn.LayerNorm, nn.GroupNorm)


def _normal(layer: nn.Module, value: Tensor) -> Tensor:
    """Return a normalisation's output before its weight and bias."""
    if isinstance(layer, nn.LayerNorm):
        return F.layer_norm(value, layer.normalized_shape, eps=layer.eps)
    if isinstance(layer, nn.GroupNorm):
        return F.group_norm(value, layer.num_groups, eps=layer.eps)
    mean, spread, eps = layer.running_mean, layer.running_var, layer.eps
    return F.batch_norm(value, mean, spread, eps=eps)  # type: ignore[arg-type]


def _last(tensor: Tensor, layer: nn.Module, crops: int) -> Tensor:
    """Return a normalisation's tensor as (B, values with one weight each, L)."""
    if isinstance(layer, nn.LayerNorm):  # positions come before the values
        count = math.prod(layer.normalized_shape)
        return _joined(tensor.reshape(len(tensor), -1, count).transpose(1, 2), crops)
    return _joined(tensor.reshape(len(tensor), tensor.shape[1], -1), crops)


def _joined(tensor: Tensor, crops: int) -> Tensor:
    """Return (B * N, O, L) as (B, O, N * L): crops are positions of one sample."""
    if crops == 1:
        return tensor
    split = tensor.view(-1, crops, *tensor.shape[1:])  # (B, N, O, L)
    return split.transpose(1, 2).flatten(2)
