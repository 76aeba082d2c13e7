"""Task-specific parts of the network for each experience; the rest is shared and fixed."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from cliqa.models.arguments import check_choice
from cliqa.models.freezing import check_patterns, matches
from cliqa.registry import PLUGINS
from cliqa.training.strategy import Strategy
from cliqa.training.views.gates import GateConfig
from cliqa.training.views.views import (
    TaskViews,
    Tensors,
    copied_tensors,
    norm_modules,
    restore_tensors,
    tensors_of,
)
from cliqa.utils.errors import ConfigError

NORMS = "norm"
"""The name that means all normalisation layers."""


@PLUGINS.register_module()
class TaskSpecificParts(TaskViews):
    """Normalisation layers and heads per experience over shared, fixed convolutions.

    With pretrained weights and ``shared="frozen"`` this is task-specific normalisation (Zhang et
    al., "Task-specific normalization for continual learning of blind image quality models", 2024);
    with ``parts=["head"]`` it is one head per experience. Earlier experiences' views never change.

    Args:
        parts: Names of the parts that each experience has its own copy of; ``"norm"`` means all
            normalisation layers with their statistics.
        shared: The rest is ``"frozen"``, or trained in the first experience and then fixed:
            ``"first"``.
        inference: As `TaskViews`.
        gate: As `TaskViews`.
        centroids: As `TaskViews`.
        temperature: As `TaskViews`.

    Raises:
        ConfigError: `parts` is empty, or `shared` is unknown.
    """

    distributed = "every process stores the same tensors; the gate's features are exchanged"

    def __init__(
        self,
        parts: Sequence[str] = (NORMS, "head"),
        shared: str = "first",
        inference: str = "last",
        gate: GateConfig = None,
        centroids: int | None = None,
        temperature: float | None = None,
    ) -> None:
        super().__init__(inference, gate, centroids, temperature)
        if not parts or isinstance(parts, str):
            raise ConfigError(
                f"TaskSpecificParts: parts must be a list of names, e.g. ['norm', 'head'], got "
                f"{parts!r}."
            )
        check_choice("TaskSpecificParts", ("frozen", "first"), shared=shared)
        self.parts = tuple(parts)
        self.shared = shared
        self._fixed: Tensors = {}

    def own_names(self, model: nn.Module) -> list[str]:
        """Return the tensors of the parts."""
        norms = tuple(norm_modules(model)) if NORMS in self.parts else ()
        named = [part for part in self.parts if part != NORMS]
        check_patterns(model, named, "TaskSpecificParts: parts")
        return [name for name in tensors_of(model) if matches(name, [*named, *norms])]

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Store the values of fixed tensors."""
        super().before_training_exp(strategy)
        own = set(self.own_names(strategy.model))
        rest = [name for name in tensors_of(strategy.model) if name not in own]
        fixed = rest if self.learnt or self.shared == "frozen" else []
        self._fixed = copied_tensors(strategy.model, fixed)

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Keep shared normalisation layers in evaluation mode."""
        if NORMS not in self.parts and (self.learnt or self.shared == "frozen"):
            for module in norm_modules(strategy.model).values():
                module.eval()

    def after_update(self, strategy: Strategy, **_: object) -> None:
        """Restore the shared parameters."""
        restore_tensors(strategy.model, self._fixed)
