"""Registries: components by the names that a config uses.

A component is one file in its package, with ``@DATASETS.register_module()`` (or another registry)
over its class. A look-up imports the module that registers the name (`cliqa.config.names`), or all
modules of the registry if there is none. Classes of libraries (Avalanche, torch, torchvision) are
added by predicate; ours take precedence, theirs of the same name stay available as
``avalanche.EWC``.
"""

from __future__ import annotations

import errno
import importlib
import inspect
import pkgutil
import threading
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from mmengine.registry import Registry

from cliqa.config.arguments import Component, check_argument_names, checked_arguments
from cliqa.config.arguments import parameters_of as parameters_of  # for importers of this module
from cliqa.config.components import component_name
from cliqa.config.names import name_index
from cliqa.config.suggest import closest
from cliqa.config.trust import is_vouched, refusal, untrusted_source
from cliqa.utils.errors import CliqaError, ConfigError

REFUSALS = (
    *(TypeError, ValueError, LookupError, AssertionError, AttributeError, ImportError),
    *(ArithmeticError, RuntimeError, MemoryError),
)
"""Errors of constructors for invalid values, besides OSError."""

SYSTEM_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors that no config value causes."""


class ComponentRegistry(Registry):
    """A registry that imports its components on demand, and knows names of libraries too.

    Args:
        kind: What it holds, for error messages ("data set", "optimizer").
        locations: Packages with its components.

    Attributes:
        upstream: Components of libraries by their names.
        for_files: Whether an untrusted file may name a component of a library.
        adapt: What `get` returns for a component that was found.
    """

    def __init__(self, kind: str, locations: Iterable[str]) -> None:
        super().__init__(kind, scope="cliqa", locations=list(locations))
        self.upstream: dict[str, Component] = {}
        self.for_files: Callable[[Component], bool] = lambda _: False
        self.adapt: Callable[[Component], Component] = lambda found: found
        self._imported: bool = False
        self._importing: set[int] = set()

    def import_from_location(self) -> None:
        """Import every module of this registry's packages, once."""
        thread = threading.get_ident()
        if self._imported or thread in self._importing:  # a module looks a name up while it loads
            return
        self._importing.add(thread)  # other threads import as well, which waits for what this loads
        try:
            for location in self._locations:
                import_tree(location)
            self._imported = True
        finally:
            self._importing.discard(thread)

    def add_upstream(
        self, module: ModuleType, keep: Callable[[str, Any], bool], prefix: str
    ) -> None:
        """Make a library's public objects available by their names.

        Args:
            module: The library's module.
            keep: Called with (name, object); true for objects of this registry.
            prefix: The library's name: ``avalanche`` makes ``avalanche.EWC`` available even if a
                class of ours is called EWC.
        """
        for name, value in vars(module).items():
            if not name.startswith("_") and keep(name, value):
                self.upstream.setdefault(name, value)
                self.upstream[f"{prefix}.{name}"] = value

    def names(self) -> list[str]:
        """Return every name that a config may use, sorted, without library prefixes."""
        self.import_from_location()
        upstream = (name for name in self.upstream if "." not in name)
        return sorted({*self.module_dict, *upstream, *self._inherited()})

    def _inherited(self) -> dict[str, Component]:
        """Return the components of the parent registries; the nearest parent takes precedence."""
        found: dict[str, Component] = {}
        parent = self.parent
        while parent is not None:
            found = {**parent.module_dict, **found}
            parent = parent.parent
        return found

    def get(self, key: str) -> Component | None:
        """Return the component called `key`, or None.

        Args:
            key: A registered name, a library's name, or a full dotted path (``my_package.MyLoss``).

        Raises:
            TrustError: An untrusted file is being built (`cliqa.config.trust.built_from`), and it
                may not name this component.
        """
        found = self.registered(key)
        source = untrusted_source()
        if source and not self.admits(key) and (found is not None or "." in key):
            raise refusal(key, self.name, source)
        if found is None and "." in key:
            imported = from_dotted_path(key)
            found = None if isinstance(imported, str) else imported
        return None if found is None else self.adapt(found)

    def registered(self, key: str) -> Component | None:
        """Return the registered component called `key`, or None; dotted paths are not imported."""
        name = key.removeprefix("cliqa.") if key.count(".") == 1 else key
        if name not in self.module_dict:
            self._import_module_of(name)
        if name not in self.module_dict:
            self.import_from_location()
        if name in self.module_dict:
            return self.module_dict[name]
        return self.upstream.get(key) or self._inherited().get(key)

    def _import_module_of(self, name: str) -> None:
        """Import the modules of this registry's packages that register `name`, by the index."""
        packages = tuple(f"{location}." for location in self._locations)
        for module in name_index().modules(name):
            if f"{module}.".startswith(packages):
                importlib.import_module(module)

    def admits(self, key: str) -> bool:
        """Return whether the config of an untrusted file may name `key`.

        It may name components of ours, those of libraries that `for_files` accepts, and those that
        the user's own config names.
        """
        found = self.registered(key)
        if found is None:  # an unknown plain name imports nothing
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


def find(registry: ComponentRegistry, config: object, where: str) -> Component:
    """Return the component that a config section names.

    Args:
        registry: Where to look.
        config: The section, which must be a dict with a ``type``.
        where: The section's key path, for the error message.

    Raises:
        ConfigError: The section is not a dict, has no ``type``, or the name is unknown.
    """
    name = component_name(config, registry.name, where)
    component = registry.get(name)
    if component is None:
        if "." in name:
            advice = f" {from_dotted_path(name)}"
        else:
            advice = closest(name, registry.names()) or f" Known: {', '.join(registry.names())}."
        raise ConfigError(f"{where}: unknown {registry.name} '{name}'.{advice}")
    return component


def check_component(
    registry: ComponentRegistry, config: object, where: str, provided: Iterable[str] = ()
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
    return _resolve(registry, config, where, provided)[0]


def _resolve(
    registry: ComponentRegistry, config: object, where: str, provided: Iterable[str]
) -> tuple[Component, dict[str, Any]]:
    """Return the component that a section names, and its checked arguments."""
    component = find(registry, config, where)
    section = dict(config) if isinstance(config, Mapping) else {}
    label = f"{where} '{section.pop('type')}'"
    check_argument_names(component, [str(key) for key in section], {*provided}, label)
    arguments = checked_arguments(component, section, f"{label}: ")
    check = getattr(component, "check_options", None)  # of options that depend on each other
    if check is not None:
        try:
            check(arguments)
        except ConfigError as error:
            raise ConfigError(f"{label}: {error}") from error
    return component, arguments


def build_component(
    registry: ComponentRegistry,
    config: Mapping[str, Any],
    where: str,
    **provided: object,
) -> Any:  # noqa: ANN401
    """Build the component that a section describes.

    Args:
        registry: Where to look the type up.
        config: The section; it is not changed.
        where: Its key path, for the error message.
        provided: Arguments that the caller adds. One that the component does not take is an error.

    Returns:
        The component's instance (or what the function returns).

    Raises:
        ConfigError: As `check_component`, or the constructor refused a value.
    """
    component, arguments = _resolve(registry, config, where, provided)
    try:
        return component(**{**provided, **arguments})
    except CliqaError:
        raise
    except OSError as error:
        if error.errno in SYSTEM_ERRORS:
            raise
        about = f"{error.filename}: " if error.filename else ""
        reason = f"{about}{error.strerror or error}"
        raise ConfigError(f"{where} '{config['type']}': {reason}") from error
    except REFUSALS as error:
        first = error.args[0] if error.args else ""  # str() of a KeyError would add quotes
        reason = str(first) or f"{type(error).__name__} without a message"
        if isinstance(error, KeyError) and reason.isidentifier():
            reason = f"it has no value for '{reason}'."
        raise ConfigError(f"{where} '{config['type']}': {reason}") from error


def import_tree(package: str) -> None:
    """Import a package and every module below it."""
    module = importlib.import_module(package)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), prefix=f"{package}."):
        importlib.import_module(found.name)


def from_dotted_path(path: str) -> Component | str:
    """Return the class or function at ``package.module.Name``, or why there is none."""
    module_name, _, name = path.rpartition(".")
    try:
        value = getattr(importlib.import_module(module_name), name, None)
    except Exception as error:  # noqa: BLE001  a user's module may raise anything
        return f"Importing '{module_name}' failed: {type(error).__name__}: {error}."
    if inspect.isclass(value) or inspect.isfunction(value):
        return value
    return f"'{module_name}' has no class or function called '{name}'."
