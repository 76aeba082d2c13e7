"""Fake quantization: layers with rounded weights and inputs, trained through the rounding.

Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
inference", CVPR 2018, section 3, with gradients straight through the rounding (Bengio et al.,
"Estimating or propagating gradients through stochastic neurons", 2013). The grids are those of an
ONNX file in eight bits (`cliqa.deploy.onnx.integers.quantization`), so that training and evaluation
match the deployed model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.freezing import matches
from cliqa.utils.errors import ConfigError, ModelError

RANGE = "qat_range"
"""The buffer of a layer with the smallest and the largest input so far; zeros at first."""

LEAST = 1e-12
"""Smallest step, for a tensor of zeros."""


def round_weight(weight: Tensor, bits: int = 8) -> Tensor:
    """Return a weight rounded to a symmetric grid per output channel.

    A following normalisation may be folded into the weight before or after: a channel's factor
    scales its step too.

    Args:
        weight: (out, ...), in float32.
        bits: The grid has ``2^bits - 1`` values; 2..8.

    >>> round_weight(torch.tensor([[1.27, 0.404], [0.0127, 0.004]]))
    tensor([[1.2700, 0.4000],
            [0.0127, 0.0040]])
    """
    largest = 2 ** (bits - 1) - 1
    with torch.no_grad():
        step = weight.detach().flatten(1).abs().amax(1).clamp_min(LEAST) / largest  # (out,)
        zero = torch.zeros_like(step, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, step, zero, 0, -largest, largest)


def round_inputs(values: Tensor, limits: Tensor, bits: int = 8) -> Tensor:
    """Return values rounded to a grid between limits; zero is on it, outliers are clipped.

    Args:
        values: Any shape, in float32.
        limits: The least and the largest value, (2,).
        bits: The grid has ``2^bits`` values; 2..8.

    >>> round_inputs(torch.tensor([-0.3, 0.1, 0.26, 9.0]), torch.tensor([0.0, 2.55]))
    tensor([0.0000, 0.1000, 0.2600, 2.5500])
    """
    largest = 2**bits - 1
    with torch.no_grad():
        low, high = limits[0].clamp_max(0), limits[1].clamp_min(0)
        step = ((high - low) / largest).clamp_min(LEAST)
        zero = (-low / step).round().to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(values, step[None], zero[None], 0, largest)


class Rounding:
    """Rounds a layer's inputs, as a hook before its forward pass.

    Args:
        bits: Of weights and inputs, 2..8.
        momentum: Share of a batch's range in the running one, above 0, up to 1.

    Attributes:
        observing: Inputs update the range.
    """

    def __init__(self, bits: int, momentum: float) -> None:
        self.bits = bits
        self.momentum = momentum
        self.observing = False

    def __call__(self, layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the layer's inputs, rounded once a range is known."""
        values, limits = args[0], layer.get_buffer(RANGE)
        if self.observing:
            self.observe(values, limits)
        if not is_rounded(layer):
            return args
        return (round_inputs(values.float(), limits, self.bits).to(values.dtype), *args[1:])

    @torch.no_grad()
    def observe(self, values: Tensor, limits: Tensor) -> None:
        """Update a range with that of a batch, in place; the first one is copied."""
        low, high = values.detach().float().aminmax()
        seen = torch.stack([low.clamp_max(0), high.clamp_min(0)])
        share = torch.where(limits.any(), self.momentum, 1.0)
        moved = torch.lerp(limits, seen, share)
        # mixed precision skips a step whose values overflow; so does the range
        limits.copy_(torch.where(torch.isfinite(seen).all(), moved, limits))


def add_rounding(
    model: nn.Module, bits: int = 8, momentum: float = 0.1, exclude: Sequence[str] = ()
) -> list[str]:
    """Add rounding to the linear and convolutional layers of a model, in place.

    It is inactive until a range is known. Parameters keep their names and values; each layer gets
    a buffer for its range. Code that uses a layer's weight without calling the layer is not
    rounded.

    Args:
        model: The model.
        bits: See `Rounding`.
        momentum: See `Rounding`.
        exclude: Names of parts that are not rounded.

    Returns:
        The names of the layers.

    Raises:
        ConfigError: A number is out of range.
        ModelError: There is no layer to round, or the layers have rounding already.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 8:
        raise ConfigError(f"QAT: bits must be an integer in 2..8, got {bits!r}.")
    if isinstance(momentum, bool) or not 0 < momentum <= 1:
        raise ConfigError(f"QAT: momentum must lie in 0..1, above 0, got {momentum!r}.")
    if rounding_layers(model):
        raise ModelError(
            "the model's layers have rounding already. Call remove_rounding(model) first."
        )
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
        and "weight" in module._parameters
        and not matches(name, exclude)
    }
    if not found:
        raise ModelError(
            f"QAT: the {type(model).__name__} has no linear or convolutional layer to round, "
            f"except {', '.join(exclude) or 'none'}. Exclude fewer parts, or drop the plugin 'QAT'."
        )
    for layer in found.values():
        weight: Any = layer._parameters["weight"]
        layer.register_buffer(RANGE, torch.zeros(2, device=weight.device))
        layer.qat = Rounding(bits, momentum)  # type: ignore[assignment]
        layer.register_forward_pre_hook(layer.qat)  # type: ignore[arg-type]
        layer.forward = MethodType(_forward, layer)  # type: ignore[method-assign]
    return list(found)


def rounding_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers of a model that have rounding, by name."""
    return {name: m for name, m in model.named_modules() if RANGE in m._buffers}


def is_rounded(layer: nn.Module) -> bool:
    """Return whether a layer's rounding is active: its range is known."""
    return bool(layer.get_buffer(RANGE).any())


def observe(model: nn.Module, on: bool) -> None:
    """Set whether the inputs of a model's layers update their ranges."""
    for layer in rounding_layers(model).values():
        layer.qat.observing = on  # type: ignore[union-attr]


def remove_rounding(model: nn.Module) -> dict[str, tuple[float, float]]:
    """Remove the rounding of a model's layers, in place; trained weights are kept.

    An export needs a plain model. Quantized afterwards, its outputs match training.

    Returns:
        The ranges by layer, without unknown ones.
    """
    ranges: dict[str, tuple[float, float]] = {}
    for name, layer in rounding_layers(model).items():
        low, high = layer.get_buffer(RANGE).tolist()
        if is_rounded(layer):
            ranges[name] = (low, high)
        hooks = layer._forward_pre_hooks
        for key in [key for key, hook in hooks.items() if hook is layer.qat]:
            del hooks[key]
        for own in (RANGE, "qat", "forward"):
            delattr(layer, own)
    return ranges


def _forward(layer: nn.Module, *args: Tensor) -> Tensor:
    """Run a layer's forward pass with its weight rounded."""
    plain: Callable[..., Tensor] = type(layer).forward
    if not is_rounded(layer):
        return plain(layer, *args)
    own: Any = layer._parameters["weight"]
    weight: Any = layer.weight
    rounding: Any = layer.qat
    rounded = round_weight(weight.float(), rounding.bits).to(weight.dtype)
    # a LoRA layer's weight is its own plus an adapter, so the difference is added to its own
    parameters: dict[str, Any] = layer._parameters
    parameters["weight"] = rounded if weight is own else own + (rounded - weight)
    try:
        return plain(layer, *args)
    finally:
        parameters["weight"] = own
