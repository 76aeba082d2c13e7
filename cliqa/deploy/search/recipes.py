"""Ways to make a model smaller or faster, as a search tries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from cliqa.utils.errors import ConfigError

PRECISIONS = {
    "torch": ("fp32", "bf16"),
    "onnxruntime": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "bf16", "int8", "int8-bf16"),
}
"""The precisions of each backend."""


@dataclass(frozen=True, order=True)
class Recipe:
    """One way to deploy a model.

    Attributes:
        pruning: Share of the channels that are removed, 0..1, below 1; 0 for none.
        backend: The library that runs the model: ``"torch"``, ``"onnxruntime"`` or ``"openvino"``.
        precision: ``"fp32"``, ``"fp16"``, ``"bf16"``, ``"int8"`` or ``"int8-bf16"``.
        distil: A pruned model learns from the unpruned one, too.
        in_float: The part that ONNX Runtime's int8 leaves in float: ``"stem"``, ``"depthwise"`` or
            ``"squeeze-excite"``; empty for none.

    Raises:
        ConfigError: There is no such backend, or it has no such precision, or `pruning` is out of
            range.
    """

    pruning: float = 0.0
    backend: str = "onnxruntime"
    precision: str = "fp32"
    distil: bool = True
    in_float: str = ""

    def __post_init__(self) -> None:
        if self.backend not in PRECISIONS:
            raise ConfigError(
                f"recipe: backend must be one of {', '.join(PRECISIONS)}, got {self.backend!r}."
            )
        if self.precision not in PRECISIONS[self.backend]:
            raise ConfigError(
                f"recipe: {self.backend} takes {', '.join(PRECISIONS[self.backend])}, got "
                f"{self.precision!r}."
            )
        if self.in_float and (self.backend, self.precision) != ("onnxruntime", "int8"):
            raise ConfigError(
                f"recipe: in_float is of onnxruntime int8, got {self.backend} {self.precision}."
            )
        if not 0 <= self.pruning < 1:
            raise ConfigError(
                f"recipe: pruning is a share of the channels, 0..1 and below 1, got {self.pruning}."
            )

    @property
    def parts(self) -> tuple[str, ...]:
        """`in_float`, as `cliqa.deploy.backends.convert` takes it."""
        return (self.in_float,) if self.in_float else ()

    @property
    def key(self) -> str:
        """A short name, for files.

        >>> Recipe(0.3, "onnxruntime", "int8").key
        'onnxruntime-int8-p30'
        """
        pruned = f"-p{100 * self.pruning:g}" if self.pruning else ""
        plain = "" if self.distil or not self.pruning else "-plain"
        part = f"-{self.in_float}" if self.in_float else ""
        return f"{self.backend}-{self.precision}{part}{pruned}{plain}"

    def __str__(self) -> str:
        """Return the recipe in words.

        >>> print(Recipe(0.3, "onnxruntime", "int8"))
        onnxruntime int8, 30 % of channels pruned
        """
        pruned = f", {100 * self.pruning:g} % of channels pruned" if self.pruning else ""
        plain = "" if self.distil or not self.pruning else ", not distilled"
        part = f", {self.in_float} in float" if self.in_float else ""
        return f"{self.backend} {self.precision}{part}{pruned}{plain}"


BASELINE = Recipe(0.0, "torch", "fp32")
"""The model as PyTorch runs it, with which every recipe is compared."""


def standard_recipes(
    prunings: Sequence[float] = (0.3, 0.5),
    backends: Sequence[str] = ("onnxruntime", "openvino"),
    distil: bool = True,
    parts: Sequence[str] = (),
    precisions: Sequence[str] | None = None,
) -> list[Recipe]:
    """Return the recipes that a search tries, cheap ones first.

    Unless it is asked for by name, half precision is not combined with pruning: it halves any file
    alike, and on a CPU it saves no time. Nor is PyTorch: pruned models are exported.

    Args:
        prunings: Shares of channels to try beside none.
        backends: The backends to use.
        distil: Pruned models learn from the unpruned one, too.
        parts: Parts that ONNX Runtime's int8 also leaves in float, one at a time.
        precisions: The precisions to try, of those that a backend has; None for all.

    Raises:
        ConfigError: None of the backends has a precision, or there is no such backend.

    >>> [recipe.key for recipe in standard_recipes([0.5], ["onnxruntime"])]
    ['onnxruntime-fp32', 'onnxruntime-fp16', 'onnxruntime-int8', 'onnxruntime-fp32-p50', \
'onnxruntime-int8-p50']
    """
    for precision in precisions or ():
        _check_precision(precision, backends)
    whole = [
        Recipe(0.0, backend, precision)
        for backend in backends
        for precision in PRECISIONS.get(backend, ("",))
        if Recipe(0.0, backend, precision) != BASELINE
        and (precisions is None or precision in precisions)
    ]
    whole += [
        Recipe(backend="onnxruntime", precision="int8", in_float=part)
        for part in parts
        if "onnxruntime" in backends and (precisions is None or "int8" in precisions)
    ]
    pruned = [
        Recipe(share, backend, precision, distil)
        for share in prunings
        for backend in backends
        for precision in PRECISIONS[backend]
        if precision in (("fp32", "int8") if precisions is None else precisions)
        and backend != "torch"  # they are exported
    ]
    return whole + pruned


def _check_precision(precision: str, backends: Sequence[str]) -> None:
    """Refuse a precision that no backend has."""
    known = {name: PRECISIONS[name] for name in backends if name in PRECISIONS}
    if not any(precision in own for own in known.values()):
        has = "; ".join(f"{name} has {', '.join(own)}" for name, own in known.items())
        raise ConfigError(f"precisions: no backend here has {precision!r} ({has}).")


def parts_to_try(network: nn.Module) -> tuple[str, ...]:
    """Return the parts of a network that int8 is also tried without.

    Of networks with depthwise convolutions: these and the stem read and write much and multiply
    little. Other networks are fastest in integers throughout.

    >>> parts_to_try(nn.Conv2d(8, 8, 3, groups=8)), parts_to_try(nn.Conv2d(8, 8, 3))
    (('stem', 'depthwise'), ())
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    mobile = any(module.groups == module.in_channels > 1 for module in convolutions)
    return ("stem", "depthwise") if mobile else ()
