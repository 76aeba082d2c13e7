"""The base of our plugins: hooks that exist, and a state that fits into a checkpoint."""

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
    """A continual-learning method: its hooks, its formula and its state.

    Avalanche looks hooks up by name and skips in silence what it does not know; here a misspelt
    hook is an error as soon as the class is made.

    Attributes:
        needs_all_epochs: The method changes the weights by a plan over an experience's epochs, so
            that those of one epoch do not stand for another's.
        follows_pruning: The method goes on when the model loses channels: it keeps nothing in the
            shapes of its weights, or `cut` slices it.
        reads_classes: The method takes several outputs a sample for the logits of classes.

    Raises:
        TypeError: A public method is called ``before_...`` or ``after_...`` but is no hook.
    """

    needs_all_epochs: ClassVar[bool] = False
    follows_pruning: ClassVar[bool] = False
    reads_classes: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init_subclass__(**kwargs)
        for name in vars(cls):
            if name.startswith(("before_", "after_")) and name not in HOOKS:
                raise TypeError(
                    f"{cls.__name__}.{name} is no hook of Avalanche's loops and would never run. "
                    f"Hooks: {', '.join(sorted(HOOKS))}."
                )

    def prepare(self, model: nn.Module) -> None:  # noqa: B027  most methods change no model
        """Change a fresh model before an optimizer is built over it, or weights are put into it.

        What it does must follow from the plugin's arguments and the model alone.
        """

    def check(self, plugins: Sequence[Any]) -> None:  # noqa: B027  most go with all others
        """Refuse plugins that the method does not go with, before data are read.

        Args:
            plugins: All plugins of the strategy, this one among them.
        """

    def cut(self, step: Step) -> None:  # noqa: B027  most keep nothing of that shape
        """Slice what is kept in the shapes of the model's weights, which has lost channels.

        Args:
            step: What the model has kept; see `cliqa.models.pruned`.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the plugin's whole state: tensors and plain types only."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state over that `state_dict` returned."""
