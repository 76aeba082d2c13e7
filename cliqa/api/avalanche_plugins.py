"""The package's continual-learning plugins in an Avalanche script without a config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from avalanche.benchmarks.utils.data_loader import TaskBalancedDataLoader
from avalanche.training.plugins import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from cliqa.registry import PLUGINS, build_component
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.stream_data import StreamData
from cliqa.training.loop.template import StreamTemplate
from cliqa.training.plugins.base import HOOKS, ContinualPlugin
from cliqa.utils.errors import ConfigError

NEEDS_SAMPLE_PLACES = ("DER", "TextReplay")
"""Plugins that must know which samples a training batch holds."""


def plugin(
    method: str | ContinualPlugin, run_seed: int = 0, **arguments: object
) -> AvalanchePlugin:
    """Return one of the package's plugins for any of Avalanche's strategies.

    No config is needed::

        strategy = Naive(
            model=model, optimizer=optimizer, criterion=criterion, train_mb_size=16,
            plugins=[cliqa.plugin("EWC", strength=100.0)],
        )

    Args:
        method: A name as in ``cl_strategy.plugins``: ``"EWC"``, ``"Replay"``, ``"DER"``,
            ``"LoRA"``, ``"PackNet"`` ...; or a plugin object, for a plugin of your own.
        run_seed: Seed of all random draws of the plugin.
        arguments: The plugin's own arguments, as in a config.

    Returns:
        A plugin for Avalanche.

    Raises:
        ConfigError: The name or an argument is unknown, or a value is out of range.
    """
    if isinstance(method, ContinualPlugin):
        if arguments:
            raise ConfigError(
                f"cliqa.plugin: {', '.join(arguments)} cannot be given beside a plugin object. "
                f"Give them to {type(method).__name__}(...)."
            )
        return AvalanchePlugin(method, run_seed)
    built = build_component(PLUGINS, {"type": method, **arguments}, "cliqa.plugin")
    if not isinstance(built, ContinualPlugin):
        raise ConfigError(
            f"cliqa.plugin: '{method}' is Avalanche's own plugin. Put "
            f"{type(built).__module__}.{type(built).__name__}(...) into plugins=[...] directly."
        )
    return AvalanchePlugin(built, run_seed)


class AvalanchePlugin(SupervisedPlugin):
    """A plugin of this package that works in Avalanche's own training loop.

    It passes every hook on, with the strategy extended by what the package's loop offers: seeds,
    loaders over earlier samples, and the place of the current experience in the stream.

    Args:
        method: The plugin.
        run_seed: Seed of its random draws.

    Attributes:
        method: The plugin.
    """

    def __init__(self, method: ContinualPlugin, run_seed: int = 0) -> None:
        super().__init__()
        names = [base.__name__ for base in type(method).__mro__]
        self.method = method
        self._options = TrainingOptions(seed=run_seed)
        self._knows_places = any(name in NEEDS_SAMPLE_PLACES for name in names)
        self._checked = False
        for name in HOOKS:
            if getattr(type(method), name) is not getattr(SupervisedPlugin, name):
                setattr(self, name, self._passing_on(getattr(method, name)))

    def prepare(self, model: nn.Module) -> None:
        """Change a fresh model, as LoRA and QAT must. Call it before you make the optimizer."""
        self.method.prepare(model)

    def state_dict(self) -> dict[str, Any]:
        """Return the plugin's state: tensors and plain types."""
        return self.method.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state that `state_dict` returned."""
        self.method.load_state_dict(state)

    def _passing_on(self, hook: Callable[..., None]) -> Callable[..., None]:
        """Return a hook that calls the plugin's own one."""

        def call(strategy: SupervisedTemplate, *_: object, **kwargs: object) -> None:
            hook(self._loop(strategy), **kwargs)

        return call

    def _loop(self, strategy: SupervisedTemplate) -> StreamData:
        """Return the strategy as the plugin expects it; a strategy of this package is returned."""
        if isinstance(strategy, StreamTemplate):
            loop: StreamData = strategy
        else:  # what it does not define itself is found by its __getattr__
            loop = _Loop(strategy, self._options)  # type: ignore[abstract]
        if not self._checked:
            self._checked = True
            self.method.check(loop.plugins)
        # Avalanche's own loader does not tell which samples a batch holds; another plugin's is kept
        if self._knows_places and type(strategy.dataloader) is TaskBalancedDataLoader:
            strategy.dataloader = loop.loader(strategy.adapted_dataset, train=True)
        return loop


class _Loop(StreamData):
    """One of Avalanche's strategies with what the package's plugins ask of a strategy.

    Everything else is read from the strategy and written to it.
    """

    updated = True  # every batch ends with a step of the optimizer
    resumes_mid_step = False

    def __init__(self, strategy: SupervisedTemplate, options: TrainingOptions) -> None:
        vars(self).update(_strategy=strategy, options=options)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(vars(self)["_strategy"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(vars(self)["_strategy"], name, value)

    @property
    def plugins(self) -> list[object]:  # type: ignore[override]
        """The strategy's plugins; those of this package as they are."""
        found = vars(self)["_strategy"].plugins
        return [each.method if isinstance(each, AvalanchePlugin) else each for each in found]

    @property
    def step_index(self) -> int:  # type: ignore[override]
        """How many experiences the strategy has been trained on to their end."""
        return int(self.clock.train_exp_counter)

    @property
    def epochs_done(self) -> int:  # type: ignore[override]
        """How many epochs of this experience are finished."""
        return int(self.clock.train_exp_epochs)
