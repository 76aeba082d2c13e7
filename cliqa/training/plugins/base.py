"""The base class of continual-learning plugins: checked hooks, and a state for checkpoints."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from avalanche.training.plugins import SupervisedPlugin
from torch import nn

from cliqa.models.pruned import Step

HOOKS = frozenset(name for name in dir(SupervisedPlugin) if name.startswith(("before_", "after_")))
"""The names that Avalanche's training and evaluation loops call."""


class ContinualPlugin(SupervisedPlugin):
    """A continual-learning method: hooks, and a state that a checkpoint can hold.

    A hook gets the strategy (`cliqa.training.strategy.Strategy`). Avalanche looks hooks up by name
    and ignores unknown ones; here a misspelt hook is an error when the class is defined.

    Attributes:
        needs_all_epochs: The method changes the weights on a schedule over an experience's epochs,
            so that no single epoch can be selected.
        follows_pruning: The method supports channel pruning during training: its state does not
            depend on the weights' shapes, or `cut` slices it.
        reads_classes: The method treats several outputs per sample as the logits of classes.

    Raises:
        TypeError: A public method is called ``before_...`` or ``after_...`` but is not a hook.
    """

    needs_all_epochs: ClassVar[bool] = False
    follows_pruning: ClassVar[bool] = False
    reads_classes: bool = False

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for name in vars(cls):
            if name.startswith(("before_", "after_")) and name not in HOOKS:
                raise TypeError(
                    f"{cls.__name__}.{name} is not a hook of Avalanche and would never run. "
                    f"Hooks: {', '.join(sorted(HOOKS))}."
                )

    def prepare(self, model: nn.Module) -> None:
        """Change a new model before its optimizer is built and weights are loaded.

        The change must depend on the plugin's arguments and the model alone.
        """

    def check(self, plugins: Sequence[object]) -> None:
        """Refuse incompatible plugins, before data are read.

        Args:
            plugins: All plugins of the strategy, including this one.
        """

    def cut(self, step: Step) -> None:
        """Slice the state that has the shapes of the model's weights, after channels were pruned.

        Args:
            step: The kept channels; see `cliqa.models.pruned`.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the plugin's whole state: tensors and plain types only."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state that `state_dict` returned."""
