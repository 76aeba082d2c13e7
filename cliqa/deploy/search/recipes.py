"""Ways to make a model smaller or faster, as a search tries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cliqa.utils.errors import ConfigError

PRECISIONS = {
    "torch": ("fp32", "bf16"),
    "onnxruntime": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "bf16", "int8"),
}
"""The precisions of each backend."""


@dataclass(frozen=True, order=True)
class Recipe:
    """One way to deploy a model.

    Attributes:
        pruning: Share of the channels that are removed, 0..1, below 1; 0 for none.
        backend: The library that runs the model: ``"torch"``, ``"onnxruntime"`` or ``"openvino"``.
        precision: ``"fp32"``, ``"fp16"``, ``"bf16"`` or ``"int8"``.
        distil: A pruned model learns from the unpruned one, too.

    Raises:
        ConfigError: There is no such backend, or it has no such precision, or `pruning` is out of
            range.
    """

    pruning: float = 0.0
    backend: str = "onnxruntime"
    precision: str = "fp32"
    distil: bool = True

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
        if not 0 <= self.pruning < 1:
            raise ConfigError(
                f"recipe: pruning is a share of the channels, 0..1 and below 1, got {self.pruning}."
            )

    @property
    def key(self) -> str:
        """A short name, for files.

        >>> Recipe(0.3, "onnxruntime", "int8").key
        'onnxruntime-int8-p30'
        """
        pruned = f"-p{100 * self.pruning:g}" if self.pruning else ""
        plain = "" if self.distil or not self.pruning else "-plain"
        return f"{self.backend}-{self.precision}{pruned}{plain}"

    def __str__(self) -> str:
        """Return the recipe in words.

        >>> print(Recipe(0.3, "onnxruntime", "int8"))
        onnxruntime int8, 30 % of channels pruned
        """
        pruned = f", {100 * self.pruning:g} % of channels pruned" if self.pruning else ""
        plain = "" if self.distil or not self.pruning else ", not distilled"
        return f"{self.backend} {self.precision}{pruned}{plain}"


BASELINE = Recipe(0.0, "torch", "fp32")
"""The model as PyTorch runs it, with which every recipe is compared."""


def standard_recipes(
    prunings: Sequence[float] = (0.3, 0.5),
    backends: Sequence[str] = ("onnxruntime", "openvino"),
    distil: bool = True,
) -> list[Recipe]:
    """Return the recipes that a search tries, cheap ones first.

    Half precision is not combined with pruning: it halves any file alike, and on a CPU it saves no
    time. Nor is PyTorch: pruned models are exported.

    Args:
        prunings: Shares of channels to try beside none.
        backends: The backends to use.
        distil: Pruned models learn from the unpruned one, too.

    >>> [recipe.key for recipe in standard_recipes([0.5], ["onnxruntime"])]
    ['onnxruntime-fp32', 'onnxruntime-fp16', 'onnxruntime-int8', 'onnxruntime-fp32-p50', \
'onnxruntime-int8-p50']
    """
    whole = [
        Recipe(0.0, backend, precision)
        for backend in backends
        for precision in PRECISIONS.get(backend, ("",))
        if Recipe(0.0, backend, precision) != BASELINE
    ]
    pruned = [
        Recipe(share, backend, precision, distil)
        for share in prunings
        for backend in backends
        for precision in ("fp32", "int8")
        if precision in PRECISIONS[backend] and backend != "torch"  # they are exported
    ]
    return whole + pruned
