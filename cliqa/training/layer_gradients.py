"""Gradients of single samples, layer by layer, from one pass over a batch.

What reaches a layer's output in the backward pass, and what went into it, is all that the gradient
of a sample takes (Goodfellow, "Efficient per-example gradient computations", 2015). Legend: B
samples, N crops of each, I and O a layer's inputs and outputs (I of a convolution counts its
kernel's places), L places that share the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from cliqa.training.batching import apply_model

Weights = dict[str, Tensor]

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
NORMS = (*BATCH_NORMS, nn.LayerNorm, nn.GroupNorm)
FEW_PLACES = 6
"""With so many places or fewer, squares are summed over pairs of places, without single samples'
gradients: measured on convolutions of a ResNet-18."""
CACHE = 2**22
"""Bytes of gradients at a time on a CPU, so that they stay in its cache."""


class NotByLayerError(Exception):
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
            if own not in ("weight", "bias") or not _is_known(layer):
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
                outputs = apply_model(lambda x: functional_call(self.model, weights, (x,)), inputs)
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


def layer_sums(
    layer: nn.Module, value: Tensor, slope: Tensor, crops: int, power: int
) -> dict[str, Tensor]:
    """Return the sums of a layer's weight and bias.

    Args:
        layer: One of those that `LayerGradients` knows.
        value: Its input, (B * N, ...).
        slope: The gradient of its output, (B * N, ...).
        crops: N.
        power: 1 or 2.
    """
    if isinstance(layer, NORMS):
        ahead = 1 if isinstance(layer, nn.LayerNorm) else 0
        slope, ready = (_last(t, layer, ahead, crops) for t in (slope, _normal(layer, value)))
        own = (slope * ready).sum(2).abs().pow(power).sum(0)
        bias = slope.sum(2).abs().pow(power).sum(0)
        shape = layer.weight.shape
        return {"weight": own.view(shape), "bias": bias.view(shape)}
    groups = 1
    if isinstance(layer, nn.Conv2d):
        groups = layer.groups
        padding: tuple[int, ...] = layer.padding  # type: ignore[assignment]
        value = F.unfold(value, layer.kernel_size, layer.dilation, padding, layer.stride)
        slope = slope.flatten(2)
    else:
        value, slope = (t.reshape(len(t), -1, t.shape[-1]).transpose(1, 2) for t in (value, slope))
    value, slope = _joined(value, crops), _joined(slope, crops)  # (B, I, L) and (B, O, L)
    parts = zip(slope.chunk(groups, 1), value.chunk(groups, 1), strict=True)
    own = torch.cat([_products(s, v, power) for s, v in parts])
    weight = own.view(layer.weight.shape)  # type: ignore[arg-type]
    return {"weight": weight, "bias": slope.sum(2).abs().pow(power).sum(0)}


def _products(slope: Tensor, value: Tensor, power: int) -> Tensor:
    """Return ``sum_b |slope_b value_b^T| ** power`` (O, I) of (B, O, L) and (B, I, L)."""
    places = slope.shape[2]
    if power == 2 and places <= FEW_PLACES:
        first, second = torch.triu_indices(places, places, device=slope.device)
        twice = 1 + (first != second).to(slope.dtype)
        slopes = slope[:, :, first] * slope[:, :, second] * twice  # (B, O, pairs)
        values = value[:, :, first] * value[:, :, second]  # (B, I, pairs)
        return slopes.transpose(0, 1).flatten(1) @ values.transpose(0, 1).flatten(1).T
    total = slope.new_zeros(slope.shape[1], value.shape[1])
    size = 1 if slope.device.type == "cpu" else 64
    size = max(size, CACHE // (4 * total.numel()))
    for some, theirs in zip(slope.split(size), value.split(size), strict=True):
        products = torch.bmm(some, theirs.transpose(1, 2))  # (b, O, I)
        if power == 1:
            total += products.abs_().sum(0)
        elif len(products) == 1:
            total.addcmul_(products[0], products[0])
        else:
            total += products.square_().sum(0)
    return total


def _is_known(layer: nn.Module) -> bool:
    """Tell whether a layer's gradients can be told from its input and its output's gradient."""
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


def _last(tensor: Tensor, layer: nn.Module, ahead: int, crops: int) -> Tensor:
    """Return a normalisation's tensor as (B, values with a weight each, L)."""
    if ahead:  # places stand before the values
        count = math.prod(layer.normalized_shape)  # type: ignore[arg-type]
        return _joined(tensor.reshape(len(tensor), -1, count).transpose(1, 2), crops)
    return _joined(tensor.reshape(len(tensor), tensor.shape[1], -1), crops)


def _joined(tensor: Tensor, crops: int) -> Tensor:
    """Return (B * N, O, L) as (B, O, N * L): crops are places of one sample."""
    if crops == 1:
        return tensor
    split = tensor.view(-1, crops, *tensor.shape[1:])  # (B, N, O, L)
    return split.transpose(1, 2).flatten(2)
