"""Registries: every component is found by the name that a config gives.

A component is one file in its room, with ``@DATASETS.register_module()`` (or the like) over its
class. Rooms load on the first look-up. Upstream classes (Avalanche, torch, torchvision) come in by
predicate; ours win over upstream's of the same name, which stay reachable as ``avalanche.EWC``.
"""

from __future__ import annotations

import errno
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from mmengine.registry import Registry

from cliqa.config.arguments import checked_arguments
from cliqa.config.dotted import from_dotted_path, import_tree, why_unknown
from cliqa.config.signature import describe, parameters_of
from cliqa.config.suggest import closest
from cliqa.config.trust import is_vouched, refusal, untrusted_source
from cliqa.utils.errors import CliqaError, ConfigError

Component = Callable[..., Any]
"""What a registry holds: a class or a function."""

REFUSALS = (
    *(TypeError, ValueError, LookupError, AssertionError, AttributeError, ImportError),
    *(ArithmeticError, RuntimeError, MemoryError),
)
"""What constructors raise for values that they cannot take, OSError apart."""

OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors that no value of a config is to blame for."""


class ComponentRegistry(Registry):
    """A registry that loads its rooms on the first look-up and knows upstream's names too.

    Args:
        kind: What it holds, in the words of an error message ("data set", "optimizer").
        locations: Packages of ours; every module below them is imported on the first look-up.
    """

    def __init__(self, kind: str, locations: Iterable[str]) -> None:
        super().__init__(kind, scope="cliqa", locations=list(locations))
        self.upstream: dict[str, Component] = {}
        self.for_files: Callable[[Component], bool] = lambda _: False
        self._imported: bool = False

    def import_from_location(self) -> None:
        """Import every module of this registry's rooms, once."""
        if self._imported:
            return
        self._imported = True  # before the imports: a module may look a name up while it loads
        try:
            for location in self._locations:
                import_tree(location)
        except BaseException:
            self._imported = False
            raise

    def add_upstream(
        self, module: ModuleType, keep: Callable[[str, Any], bool], prefix: str
    ) -> None:
        """Make a library's public objects available by their names.

        Args:
            module: The library's module.
            keep: Called with (name, object); true for what belongs into this registry.
            prefix: The library's name: ``avalanche`` makes ``avalanche.EWC`` reachable even where a
                class of ours is called EWC.
        """
        for name, value in vars(module).items():
            if not name.startswith("_") and keep(name, value):
                self.upstream.setdefault(name, value)
                self.upstream[f"{prefix}.{name}"] = value

    def names(self) -> list[str]:
        """Return every name that a config may use, sorted; upstream's prefixed twins left out."""
        self.import_from_location()
        found = {*self.module_dict, *(name for name in self.upstream if "." not in name)}
        parent = self.parent
        while parent is not None:
            found.update(parent.module_dict)
            parent = parent.parent
        return sorted(found)

    def get(self, key: str) -> Component | None:
        """Return the component called `key`, or None.

        Args:
            key: A registered name, an upstream name, or a full dotted path (``my_package.MyLoss``).

        Raises:
            TrustError: What is built comes from a file (`cliqa.config.trust.built_from`), and the
                file may not name this.
        """
        found = self.registered(key)
        source = untrusted_source()
        if source and not self.admits(key) and (found is not None or "." in key):
            raise refusal(key, self.name, source)
        return from_dotted_path(key) if found is None else found

    def registered(self, key: str) -> Component | None:
        """Return the component called `key` that a registry holds, or None; nothing is imported."""
        self.import_from_location()
        name = key.removeprefix("cliqa.") if key.count(".") == 1 else key
        if name in self.module_dict:
            return self.module_dict[name]
        if key in self.upstream:
            return self.upstream[key]
        parent = self.parent
        while parent is not None:
            if key in parent.module_dict:
                return parent.module_dict[key]
            parent = parent.parent
        return None

    def admits(self, key: str) -> bool:
        """Return whether a config that comes out of an untrusted file may name `key`.

        It may name what is registered here, upstream's that `for_files` is true for, and what the
        user's own config names.
        """
        found = self.registered(key)
        if found is None:  # a plain name that nothing holds leads nowhere, whoever wrote it
            return "." in key and is_vouched(key)
        own = key in self.module_dict or key.removeprefix("cliqa.") in self.module_dict
        return own or self.for_files(found) or is_vouched(key)


DATASETS = ComponentRegistry("data set", ["cliqa.datasets"])
GENERATORS = ComponentRegistry("generator", ["cliqa.demo_data"])
TRANSFORMS = ComponentRegistry("transform", ["cliqa.transforms"])
LOSSES = ComponentRegistry("loss", ["cliqa.losses", "cliqa.models.mmpretrain_losses"])
MODELS = ComponentRegistry("model", ["cliqa.models"])
SCENARIOS = ComponentRegistry("scenario", ["cliqa.benchmarks"])
METRICS = ComponentRegistry("metric", ["cliqa.evaluation.metrics"])
STRATEGIES = ComponentRegistry("strategy", ["cliqa.training"])
PLUGINS = ComponentRegistry("plugin", ["cliqa.training", "cliqa.pretraining.plugins"])
OPTIMIZERS = ComponentRegistry("optimizer", ["cliqa.training"])
LR_SCHEDULERS = ComponentRegistry("scheduler", ["cliqa.training"])
LOGGERS = ComponentRegistry("logger", ["cliqa.engine.loggers"])


def find(registry: ComponentRegistry, config: Any, where: str) -> Component:  # noqa: ANN401
    """Return the component that a config section names.

    Args:
        registry: Where to look.
        config: The section, which must be a dict with a ``type``.
        where: The section's key path, for the error message.

    Raises:
        ConfigError: The section is no dict, has no ``type``, or the name is unknown.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(
            f"{where}: expected dict(type=...) naming the {registry.name}, got "
            f"{type(config).__name__} {config!r}."
        )
    name = config.get("type")
    if name is None:
        raise ConfigError(f"{where}: no 'type'. Name the {registry.name}: dict(type='...', ...).")
    if not isinstance(name, str):
        raise ConfigError(f"{where}.type: expected a name (a string), got {name!r}.")
    component = registry.get(name)
    if component is None:
        raise ConfigError(f"{where}: unknown {registry.name} '{name}'.{_advice(registry, name)}")
    return component


def _advice(registry: ComponentRegistry, name: str) -> str:
    """Return what to write instead of an unknown name."""
    if "." in name:
        return why_unknown(name)
    return closest(name, registry.names()) or f" Known: {', '.join(registry.names())}."


def check_component(
    registry: ComponentRegistry,
    config: Any,  # noqa: ANN401
    where: str,
    provided: Iterable[str] = (),
) -> Component:
    """Check a section's name and its arguments without building anything.

    Args:
        registry: Where to look the type up.
        config: The section.
        where: Its key path, for the error message.
        provided: Arguments that the caller adds when it builds (model, optimizer ...).

    Returns:
        The component.

    Raises:
        ConfigError: The type is unknown, an argument is unknown or does not fit its annotation, or
            a required one is missing.
    """
    component = find(registry, config, where)
    _check_names(component, config, where, set(provided))
    component_arguments(component, config, where)
    return component


def component_arguments(
    component: Component, config: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Return the arguments that a section gives, as its component takes them.

    Args:
        component: What the section names.
        config: The section.
        where: Its key path, for the error message.

    Raises:
        ConfigError: With one line for every argument that does not fit its annotation.
    """
    given = {key: value for key, value in config.items() if key != "type"}
    return checked_arguments(component, given, f"{where} '{config['type']}': ")


def _check_names(
    component: Component, config: Mapping[str, Any], where: str, provided: set[str]
) -> None:
    """Refuse an argument that a component does not know, and a missing one."""
    given = {str(key) for key in config if key != "type"}
    parameters, open_ended = parameters_of(component)
    shown = {name: p for name, p in parameters.items() if name not in provided}
    unknown = sorted(given - set(parameters))
    if unknown and not open_ended:
        hint = closest(unknown[0], shown)
        raise ConfigError(
            f"{where} '{config['type']}': unexpected argument '{unknown[0]}'.{hint} "
            f"It accepts {describe(parameters, provided)}."
        )
    missing = [
        name
        for name, p in shown.items()
        if p.default is inspect.Parameter.empty and name not in given
    ]
    if missing:
        raise ConfigError(
            f"{where} '{config['type']}': missing argument '{missing[0]}'. "
            f"It accepts {describe(parameters, provided)}."
        )


def build_component(
    registry: ComponentRegistry,
    config: Mapping[str, Any],
    where: str,
    **provided: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Build what a section describes.

    Args:
        registry: Where to look the type up.
        config: The section; it is left as it is.
        where: Its key path, for the error message.
        provided: Arguments that the caller adds. One that the component does not take is an error.

    Returns:
        The component's instance (or what the function returns).

    Raises:
        ConfigError: As `check_component`, or the constructor refused a value.
    """
    component = check_component(registry, config, where, provided)
    arguments = component_arguments(component, config, where)
    try:
        return component(**{**provided, **arguments})
    except CliqaError:
        raise
    except OSError as error:
        if error.errno in OF_THE_MACHINE:
            raise
        about = f"{error.filename}: " if error.filename else ""
        reason = f"{about}{error.strerror or error}"
        raise ConfigError(f"{where} '{config['type']}': {reason}") from error
    except REFUSALS as error:
        first = error.args[0] if error.args else ""  # str() of a KeyError would add quotes
        reason = str(first) or f"{type(error).__name__} without a message"
        raise ConfigError(f"{where} '{config['type']}': {reason}") from error
