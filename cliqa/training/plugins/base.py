"""The base class of continual-learning plugins: checked hooks, and a state for checkpoints."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from avalanche.training.plugins import SupervisedPlugin
from avalanche.training.templates.base_sgd import BaseSGDTemplate
from torch import nn

from cliqa.models.pruned import Step
from cliqa.training.loop.avalanche_loop import hosted, settings_of
from cliqa.training.loop.stream_data import StreamData
from cliqa.training.strategy import Strategy

HOOKS = frozenset(name for name in dir(SupervisedPlugin) if name.startswith(("before_", "after_")))
"""The names that Avalanche's training and evaluation loops call."""


class SavedState:
    """An object whose state is some of its attributes, by their names without an underscore.

    Attributes:
        saved: The attributes: tensors and plain types, in lists and dicts.
        saved_parts: Attributes that have a state of their own; that of None is empty.
        only_in_training: Those of them that a network which predicts alone does not need. A shared
            model has the values of a new object in their place.
    """

    saved: ClassVar[tuple[str, ...]] = ()
    saved_parts: ClassVar[tuple[str, ...]] = ()
    only_in_training: ClassVar[tuple[str, ...]] = ()

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state: tensors and plain types only."""
        state = {name.lstrip("_"): getattr(self, name) for name in self.saved}
        for name in self.saved_parts:
            part = getattr(self, name)
            state[name.lstrip("_")] = {} if part is None else part.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state that `state_dict` returned."""
        for name in self.saved:
            setattr(self, name, state[name.lstrip("_")])
        for name in self.saved_parts:
            part, own = getattr(self, name), state[name.lstrip("_")]
            if part is not None and own:
                part.load_state_dict(own)


class ContinualPlugin(SavedState, SupervisedPlugin):
    """A continual-learning method: hooks, and a state that a checkpoint can hold.

    A hook gets the strategy (`cliqa.training.strategy.Strategy`): one of this package, or in a
    plain script one of Avalanche's own with what it lacks (`as_loop`). Avalanche looks hooks up by
    name and ignores unknown ones; here a misspelt hook is an error when the class is defined. So is
    a missing state: every method names the attributes in `saved`, ``()`` for none, or has its own
    `state_dict` and `load_state_dict`. A base class for methods is defined with ``abstract=True``.

    Attributes:
        needs_all_epochs: The method changes the weights on a schedule over an experience's epochs,
            so that no single epoch can be selected.
        follows_pruning: The method supports channel pruning during training: its state does not
            depend on the weights' shapes, or `cut` slices it.
        reads_classes: The method treats several outputs per sample as the logits of classes.
        reads_outputs: The method computes with the model's outputs, which have to be a tensor.
        distributed: How the method works in a run of several processes, in words; empty where it
            does not, and such a run is refused. See `cliqa.training.loop.parallel`.

    Raises:
        TypeError: A public method is called ``before_...`` or ``after_...`` but is not a hook, or
            the state is not declared.
    """

    needs_all_epochs: ClassVar[bool] = False
    follows_pruning: ClassVar[bool] = False
    reads_classes: bool = False
    reads_outputs: bool = False
    distributed: ClassVar[str] = ""

    def __init_subclass__(cls, abstract: bool = False, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for name in list(vars(cls)):
            if name.startswith(("before_", "after_")) and name not in HOOKS:
                raise TypeError(
                    f"{cls.__name__}.{name} is not a hook of Avalanche and would never run. "
                    f"Hooks: {', '.join(sorted(HOOKS))}."
                )
            if name in HOOKS:
                setattr(cls, name, _in_any_loop(vars(cls)[name]))
        declared = {name for base in cls.__mro__ for name in vars(base) if base not in _BASES}
        if not abstract and "saved" not in declared and not declared >= _STATE:
            raise TypeError(
                f"{cls.__name__} does not declare its state, so a run could not be resumed. Set "
                "saved = ('_name', ...), the attributes to store, or () for none; or define "
                "state_dict and load_state_dict."
            )

    def prepare(self, model: nn.Module) -> None:
        """Change a new model before its optimizer is built and weights are loaded.

        The change must depend on the plugin's arguments and the model alone.
        """

    def is_prepared(self, model: nn.Module) -> bool:
        """Return whether `prepare` has changed this model; where not, a plain script calls it."""
        return False

    def before_training(self, strategy: Strategy, **kwargs: object) -> None:
        """Complete a plain strategy of Avalanche's."""
        as_loop(strategy, **kwargs)

    def before_eval(self, strategy: Strategy, **_: object) -> None:
        """Complete a plain strategy of Avalanche's that has not been trained."""
        as_loop(strategy)

    def check(self, plugins: Sequence[object]) -> None:
        """Refuse incompatible plugins, before data are read.

        Args:
            plugins: All plugins of the strategy, including this one.
        """

    def check_room(self, to_come: int) -> None:
        """Refuse a stream that is longer than the method can learn.

        Called before anything is trained; when a run continues, once its state is loaded.

        Args:
            to_come: Experiences that are still to be learnt, one in progress too.
        """

    def needs_boundaries(self) -> str:
        """Return why the method must know where an experience ends, in words; empty if it need not.

        A stream with ``scenario.online.boundaries="hidden"`` does not tell it.
        """
        of_experiences = ("before_training", "before_training_exp", "after_training_exp")
        own = [k for k in of_experiences if getattr(type(self), k) is not _inherited(k)]
        return "it acts where an experience starts or ends" if own else ""

    def uses_length(self) -> str:
        """Return what depends on how many experiences the stream has, in words; empty for nothing.

        A run whose stream grows then ends otherwise than one over the whole stream.
        """
        return ""

    def records(self) -> list[dict[str, Any]]:
        """Return what the method has found out, for a run's ``metrics.jsonl``.

        Returns:
            Rows of plain values with a ``kind`` of their own. They are asked for after every epoch,
            so they must follow from the state.
        """
        return []

    def cut(self, step: Step) -> None:
        """Slice the state that has the shapes of the model's weights, after channels were pruned.

        Args:
            step: The kept channels; see `cliqa.models.pruned`.
        """


_BASES = (ContinualPlugin, *ContinualPlugin.__mro__[1:])
_STATE = {"state_dict", "load_state_dict"}


def _inherited(hook: str) -> object:
    """Return the hook of a plugin that does not define it."""
    return getattr(ContinualPlugin, hook)


def as_loop(strategy: Any, **kwargs: object) -> Any:  # noqa: ANN401
    """Return a strategy as a plugin of this package expects it.

    Args:
        strategy: One of this package, which is returned, or one of Avalanche's own, whose model is
            prepared and whose plugins are checked the first time.
        kwargs: The arguments of ``strategy.train``.

    Raises:
        CliqaError: A plugin does not fit the model, or another plugin.
    """
    if isinstance(strategy, StreamData) or not isinstance(strategy, BaseSGDTemplate):
        return strategy
    settings = settings_of(strategy)
    if not settings.ready:
        prepare_all(strategy.model, hosted(strategy, settings).plugins)
        settings.ready = True
        if strategy.is_training:
            settings.before_training(strategy, **kwargs)
    return hosted(strategy, settings)


def prepare_all(model: nn.Module, plugins: Sequence[object]) -> None:
    """Check plugins, and let them change the model of a plain script unless they have done so.

    Raises:
        CliqaError: A plugin does not fit the model, or another plugin.
    """
    own = [plugin for plugin in plugins if isinstance(plugin, ContinualPlugin)]
    for plugin in own:
        plugin.check(plugins)
    for plugin in own:
        if not plugin.is_prepared(model):
            plugin.prepare(model)


def _in_any_loop(hook: Callable[..., None]) -> Callable[..., None]:
    """Return a hook that gets its strategy by `as_loop`."""

    @functools.wraps(hook)
    def call(self: ContinualPlugin, strategy: object, *args: object, **kwargs: object) -> None:
        hook(self, as_loop(strategy, **kwargs), *args, **kwargs)

    return call
