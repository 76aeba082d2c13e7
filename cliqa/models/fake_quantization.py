"""Layers that compute with rounded weights and inputs, and learn through the rounding.

Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
inference", CVPR 2018, section 3, with gradients straight through the rounding (Bengio et al.,
"Estimating or propagating gradients through stochastic neurons", 2013). The steps are those of an
ONNX file in eight bits (`cliqa.deploy.onnx.quantization`), so that what is trained and measured is
what is deployed.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.freezing import matches
from cliqa.utils.errors import ConfigError, ModelError

RANGE = "qat_range"
"""The buffer of a layer with the least and the largest input seen; zeros before any."""

LEAST = 1e-12
"""Smallest step, for a tensor of zeros."""


def round_weight(weight: Tensor, bits: int = 8) -> Tensor:
    """Return a weight on a symmetric grid of its own for each output channel.

    Normalisation behind the layer may be put into the weight before or after: a factor of a channel
    is one of its step too.

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
    """Return values on a grid over limits; zero is on it, and what lies outside is cut off.

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
    """What a layer rounds its inputs with, as a hook before its forward pass.

    Args:
        bits: Of weights and inputs, 2..8.
        momentum: Share of a batch's range in the running one, above 0, up to 1.

    Attributes:
        observing: Inputs move the range.
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
        """Move a range towards that of a batch, in place; the first one is taken as it is."""
        low, high = values.detach().float().aminmax()
        seen = torch.stack([low.clamp_max(0), high.clamp_min(0)])
        share = torch.where(limits.any(), self.momentum, 1.0)
        moved = torch.lerp(limits, seen, share)
        # mixed precision skips a step whose values overflow: so does the range
        limits.copy_(torch.where(torch.isfinite(seen).all(), moved, limits))


def add_rounding(
    model: nn.Module, bits: int = 8, momentum: float = 0.1, exclude: Sequence[str] = ()
) -> list[str]:
    """Let the linear and convolutional layers of a model round, in place.

    Nothing changes until a range is known. Parameters keep their names and values; each layer gets
    a buffer for its range. Code that takes a layer's weight without calling the layer is not
    rounded.

    Args:
        model: The model.
        bits: See `Rounding`.
        momentum: See `Rounding`.
        exclude: Names of parts that do not round.

    Returns:
        The names of the layers.

    Raises:
        ConfigError: A number is out of range.
        ModelError: There is no layer to round, or the layers round already.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 8:
        raise ConfigError(f"QAT: bits must be an integer in 2..8, got {bits!r}.")
    if isinstance(momentum, bool) or not 0 < momentum <= 1:
        raise ConfigError(f"QAT: momentum must lie in 0..1, above 0, got {momentum!r}.")
    if rounding_layers(model):
        raise ModelError("the model's layers round already. Call remove_rounding(model) first.")
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
        and "weight" in module._parameters
        and not matches(name, exclude)
    }
    if not found:
        raise ModelError(
            f"QAT: the {type(model).__name__} has no linear or convolutional layer to round, but "
            f"for {', '.join(exclude) or 'none'}. Name less in exclude, or drop the plugin 'QAT'."
        )
    for layer in found.values():
        weight: Any = layer._parameters["weight"]
        layer.register_buffer(RANGE, torch.zeros(2, device=weight.device))
        layer.qat = Rounding(bits, momentum)  # type: ignore[assignment]
        layer.register_forward_pre_hook(layer.qat)  # type: ignore[arg-type]
        layer.forward = MethodType(_forward, layer)  # type: ignore[method-assign]
    return list(found)


def rounding_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers of a model that round, or will, by name."""
    return {name: m for name, m in model.named_modules() if RANGE in m._buffers}


def is_rounded(layer: nn.Module) -> bool:
    """Tell whether a layer rounds: whether its range is known."""
    return bool(layer.get_buffer(RANGE).any())


def observe(model: nn.Module, on: bool) -> None:
    """Let the inputs of a model's layers move their ranges, or not."""
    for layer in rounding_layers(model).values():
        layer.qat.observing = on  # type: ignore[union-attr]


def remove_rounding(model: nn.Module) -> dict[str, tuple[float, float]]:
    """Make a model's layers plain ones again, in place; their weights stay as they were trained.

    An export needs a plain model. Quantized afterwards, it computes what was trained.

    Returns:
        The ranges by layer; without those that saw no input.
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


def _forward(layer: Any, *args: Any) -> Any:  # noqa: ANN401
    """Compute what a layer's class does with a rounded weight in place of its own."""
    plain = type(layer).forward
    if not is_rounded(layer):
        return plain(layer, *args)
    own, weight = layer._parameters["weight"], layer.weight
    rounded = round_weight(weight.float(), layer.qat.bits).to(weight.dtype)
    # an adapted layer's weight is its own and a sum more, so that its own takes the difference
    layer._parameters["weight"] = rounded if weight is own else own + (rounded - weight)
    try:
        return plain(layer, *args)
    finally:
        layer._parameters["weight"] = own
