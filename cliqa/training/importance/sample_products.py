"""Per-sample weight gradients of linear layers and convolutions, summed without being stored.

They are products of a layer's output gradients and inputs. Both come with the channels last, so
that positions are rows of a matrix. Legend: B samples, L positions that share weights, I and O a
layer's inputs and outputs, N crops of a sample.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEW_PLACES = 6
"""Up to this many positions, squares are summed over pairs of positions, without per-sample
gradients: measured on convolutions of a ResNet-18."""
CACHE = 2**18
"""Bytes of gradients at a time on a CPU, to fit into its cache."""
UNFOLDED = 2**26
"""Bytes of a convolution's unfolded input at a time."""


def product_sums(slope: Tensor, value: Tensor, power: int) -> Tensor:
    """Return ``sum_b |sum_l slope_bl value_bl^T| ** power``, (O, I).

    Args:
        slope: (B, L, O).
        value: (B, L, I).
        power: 1 or 2.
    """
    if power == 2 and slope.shape[1] <= FEW_PLACES:
        return _pair_sums(slope, value)
    outputs, inputs = slope.shape[2], value.shape[2]
    total = slope.new_zeros(outputs, inputs)
    least = 1 if slope.device.type == "cpu" else 64
    size = min(len(slope), max(least, CACHE // (4 * total.numel())))
    products = slope.new_empty(size, outputs, inputs)  # used again: it stays in the cache
    for some, theirs in zip(slope.split(size), value.split(size), strict=True):
        own = products[: len(some)]
        torch.bmm(some.transpose(1, 2), theirs, out=own)  # (b, O, I)
        if power == 1:
            total += own.abs_().sum(0)
        elif len(own) == 1:
            total.addcmul_(own[0], own[0])
        else:
            total += own.square_().sum(0)
    return total


def _pair_sums(slope: Tensor, value: Tensor) -> Tensor:
    """Return the sum of squares by pairs of positions: of a few, that is one matrix product."""
    places = slope.shape[1]
    first, second = torch.triu_indices(places, places, device=slope.device)
    twice = 1 + (first != second).to(slope.dtype)[:, None]
    slopes = slope[:, first] * slope[:, second] * twice  # (B, pairs, O)
    values = value[:, first] * value[:, second]  # (B, pairs, I)
    return slopes.flatten(0, 1).T @ values.flatten(0, 1)


def convolution_sums(
    layer: nn.Conv2d, value: Tensor, slope: Tensor, crops: int, power: int
) -> Tensor:
    """Return the sum over samples of a convolution's weight gradients, of the weight's shape.

    Args:
        layer: Pads with zeros.
        value: Its input, (B * N, C, H, W).
        slope: The gradient of its output, (B * N, O, H', W').
        crops: N.
        power: 1 or 2.
    """
    inputs, slopes = (tensor.permute(0, 2, 3, 1) for tensor in (value, slope))
    places = slopes.shape[1] * slopes.shape[2]
    if layer.groups == 1 and power == 2 and places * crops <= FEW_PLACES:
        return _by_kernel_position(layer, inputs.contiguous(), slopes.contiguous(), crops)
    top, left = (int(size) for size in layer.padding)
    inputs = F.pad(inputs, (0, 0, left, left, top, top)).contiguous()
    kernel = layer.weight[0, 0].numel() * inputs.shape[3]
    step = crops * max(1, UNFOLDED // (4 * kernel * places * crops))
    total = torch.zeros_like(layer.weight.detach())  # (O, C / groups, h, w)
    for own, some in zip(slopes.split(step), inputs.split(step), strict=True):
        spread = _unfolded(layer, some, slopes.shape[1:3])  # (b, H', W', h, w, C)
        spread = spread.reshape(len(own) // crops, crops * places, *spread.shape[3:])
        flat = own.reshape(len(spread), crops * places, -1)  # (b, L, O)
        if layer.groups > 1:
            total += _grouped_sums(layer, spread, flat, power)
            continue
        found = product_sums(flat, spread.flatten(2), power)
        total += found.view(-1, *spread.shape[2:]).permute(0, 3, 1, 2)
    return total


def _unfolded(layer: nn.Conv2d, inputs: Tensor, size: torch.Size) -> Tensor:
    """Return a view of padded inputs (b, H, W, C) for each output and kernel position.

    Shape: (b, H', W', h, w, C). Its last axes are runs of memory, which copies fast.
    """
    (row, column), (down, right) = layer.stride, layer.dilation
    batch, y, x, channel = inputs.stride()
    shape = (len(inputs), *size, *layer.kernel_size, inputs.shape[3])
    return inputs.as_strided(shape, (batch, row * y, column * x, down * y, right * x, channel))


def _grouped_sums(layer: nn.Conv2d, spread: Tensor, slope: Tensor, power: int) -> Tensor:
    """Return the sums of a convolution in groups: of (b, L, h, w, C) and (b, L, O)."""
    values = spread.unflatten(-1, (layer.groups, -1))  # (b, L, h, w, groups, i)
    slopes = slope.unflatten(-1, (layer.groups, -1))  # (b, L, groups, o)
    products = torch.einsum("blgo,blhwgi->bgoihw", slopes, values)
    return products.abs().pow(power).sum(0).flatten(0, 1)


def _by_kernel_position(layer: nn.Conv2d, inputs: Tensor, slopes: Tensor, crops: int) -> Tensor:
    """Return the sums of squares of a convolution over tiny maps.

    Most of a kernel lies on the padding there: each kernel position has its own few places.
    """
    height, width = layer.kernel_size
    total = slopes.new_zeros(height, width, slopes.shape[3], inputs.shape[3])
    for y in range(height):
        rows = _reached(layer, 0, y, slopes.shape[1], inputs.shape[1])
        for x in range(width):
            columns = _reached(layer, 1, x, slopes.shape[2], inputs.shape[2])
            if rows and columns:
                own = slopes[:, rows[0], columns[0]]
                theirs = inputs[:, rows[1], columns[1]]
                own, theirs = (t.reshape(len(t) // crops, -1, t.shape[3]) for t in (own, theirs))
                total[y, x] = product_sums(own, theirs, power=2)
    return total.permute(2, 3, 0, 1)


def _reached(
    layer: nn.Conv2d, axis: int, position: int, outputs: int, inputs: int
) -> tuple[slice, slice] | None:
    """Return the outputs for which a kernel position lies on the input, and those inputs.

    Args:
        layer: The convolution.
        axis: 0 for rows, 1 for columns.
        position: In the kernel.
        outputs: Places of the output along the axis.
        inputs: Places of the input.
    """
    stride = layer.stride[axis]
    offset = position * layer.dilation[axis] - int(layer.padding[axis])
    first = max(0, -(offset // stride))
    last = min(outputs - 1, (inputs - 1 - offset) // stride)
    if last < first:
        return None
    start, end = first * stride + offset, last * stride + offset
    return slice(first, last + 1), slice(start, end + 1, stride)
