"""The package's continual-learning plugins by the names of a config, for any Avalanche script."""

from __future__ import annotations

from cliqa.registry import PLUGINS, build_component
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.utils.errors import ConfigError


def plugin(method: str, **arguments: object) -> ContinualPlugin:
    """Return one of the package's plugins by its name, with its arguments checked as a config's.

    ``cliqa.plugin("EWC", strength=100.0)`` is ``cliqa.training.EWC(strength=100.0)``. A plugin of
    your own is found once its module is imported::

        strategy = Naive(
            model=model, optimizer=optimizer, criterion=criterion, train_mb_size=16,
            plugins=[cliqa.plugin("EWC", strength=100.0)],
        )

    Args:
        method: A name as in ``cl_strategy.plugins``: ``"EWC"``, ``"Replay"``, ``"DER"``,
            ``"LoRA"``, ``"PackNet"`` ...
        arguments: The plugin's own arguments, as in a config.

    Returns:
        The plugin, for the strategies of Avalanche and of this package.

    Raises:
        ConfigError: The name or an argument is unknown, or a value is out of range.
    """
    if isinstance(method, ContinualPlugin):
        raise ConfigError(
            f"cliqa.plugin: put the {type(method).__name__}(...) itself into plugins=[...]."
        )
    if "run_seed" in arguments:
        raise ConfigError(
            "cliqa.plugin: the seed is not a plugin's own. Put "
            "cliqa.training.RunSettings(seed=...) into plugins=[...] beside it."
        )
    built = build_component(PLUGINS, {"type": method, **arguments}, "cliqa.plugin")
    if not isinstance(built, ContinualPlugin):
        raise ConfigError(
            f"cliqa.plugin: '{method}' is Avalanche's own plugin. Put "
            f"{type(built).__module__}.{type(built).__name__}(...) into plugins=[...] directly."
        )
    return built
