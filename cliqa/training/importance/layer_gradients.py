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
FEW_PLACES = 6
"""Up to this many positions, squares are summed over pairs of positions, without per-sample
gradients: measured on convolutions of a ResNet-18."""
CACHE = 2**20
"""Bytes of gradients at a time on a CPU, to fit into its cache."""
UNFOLDED = 2**26
"""Bytes of a convolution's unfolded input at a time."""


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
        return _convolution_sums(layer, value, slope, crops, power)
    value, slope = (t.reshape(len(t), -1, t.shape[-1]).transpose(1, 2) for t in (value, slope))
    value, slope = _joined(value, crops), _joined(slope, crops)  # (B, I, L) and (B, O, L)
    bias = slope.sum(2).abs().pow(power).sum(0)
    return {"weight": _products(slope, value, power), "bias": bias}


def _convolution_sums(
    layer: nn.Conv2d, value: Tensor, slope: Tensor, crops: int, power: int
) -> dict[str, Tensor]:
    """Return the sums of a convolution's weight and bias; see `layer_sums`."""
    slope = slope.flatten(2)
    places = layer.weight[0].numel() * layer.groups * slope.shape[2]
    step = crops * max(1, UNFOLDED // (4 * places * crops))
    total, bias = (
        torch.zeros_like(layer.weight.detach()).flatten(1),
        slope.new_zeros(len(layer.weight)),
    )
    padding: tuple[int, ...] = layer.padding  # type: ignore[assignment]
    for some, inputs in zip(slope.split(step), value.split(step), strict=True):
        spread = F.unfold(inputs, layer.kernel_size, layer.dilation, padding, layer.stride)
        own, spread = _joined(some, crops), _joined(spread, crops)  # (b, O, L) and (b, I, L)
        parts = zip(own.chunk(layer.groups, 1), spread.chunk(layer.groups, 1), strict=True)
        products = [_products(one, other, power) for one, other in parts]
        total += products[0] if len(products) == 1 else torch.cat(products)
        bias += own.sum(2).abs().pow(power).sum(0)
    return {"weight": total.view_as(layer.weight), "bias": bias}


def _products(slope: Tensor, value: Tensor, power: int) -> Tensor:
    """Return ``sum_b |slope_b value_b^T| ** power`` (O, I) of (B, O, L) and (B, I, L)."""
    places = slope.shape[2]
    if power == 2 and places <= FEW_PLACES:
        first, second = torch.triu_indices(places, places, device=slope.device)
        twice = 1 + (first != second).to(slope.dtype)[:, None, None]
        slopes, values = (t.permute(2, 0, 1).contiguous() for t in (slope, value))  # (L, B, ...)
        slopes = slopes[first] * slopes[second] * twice  # (pairs, B, O)
        values = values[first] * values[second]  # (pairs, B, I)
        return slopes.flatten(0, 1).T @ values.flatten(0, 1)
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
