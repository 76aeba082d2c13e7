"""The components that a config names, and a fast check of their names and arguments.

The fast check reads sources and imports nothing, so a typo is reported in under a second. The full
check (`cliqa.engine.check`) imports every component; this one never refuses what it accepts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cliqa.config.names import NameIndex, name_index
from cliqa.config.suggest import closest, misspelt
from cliqa.utils.errors import ConfigError

MANY = 40
"""With more names than this, an error lists only our own."""


@dataclass(frozen=True)
class Part:
    """A section of a config that names a component.

    Args:
        registries: The registries that may hold it; messages use the first one's kind.
        section: Its value in the config.
        where: Its key path.
        taken: Keys of the section that are not arguments of the component.
    """

    registries: tuple[str, ...]
    section: Any
    where: str
    taken: tuple[str, ...] = ()


SCENARIO_KEYS = ("dataset_type", "dataset_root", "generate", "online")
STRATEGY_KEYS = (
    *("optimizer", "scheduler", "loss", "plugins"),
    *("train_mb_size", "train_epochs", "eval_mb_size", "eval_every"),
)


def quick_check(config: Mapping[str, Any], names: NameIndex | None = None) -> None:
    """Refuse misspelt component names, and misspelt arguments of our own components.

    Names that ``custom_imports`` may register, and dotted paths, are left to the full check.

    Args:
        config: A config from `load_config`.
        names: The known names; those of this package by default.

    Raises:
        ConfigError: With one line for each mistake.
    """
    names = names or name_index()
    mistakes = []
    for part in parts_of(config):
        try:
            _check(part, names, certain=not config.get("custom_imports"))
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def parts_of(config: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the sections of a config that name a component.

    Args:
        config: Sections of plain values.
    """
    whole = "pretrain" not in config  # pretraining has no strategy, and needs no scenario
    if whole or config.get("scenario"):
        yield from _scenario_parts(config.get("scenario") or {})
    yield from _model_parts(config.get("model") or {})
    if whole:
        yield from _strategy_parts(config.get("cl_strategy") or {})
    yield from _list_parts("LOGGERS", config, "loggers", "")
    yield from _list_parts("METRICS", config, "metrics", "")


def _list_parts(registry: str, owner: Mapping[str, Any], key: str, above: str) -> Iterator[Part]:
    """Yield the entries of a list of components."""
    listed = owner.get(key)
    for index, section in enumerate(listed if isinstance(listed, (list, tuple)) else ()):
        yield Part((registry,), section, f"{above}{key}[{index}]")


def _scenario_parts(scenario: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the components of the scenario; ``dataset_type`` is an alias of its ``type``."""
    name = scenario.get("type", scenario.get("dataset_type"))
    yield Part(("SCENARIOS",), {**scenario, "type": name}, "scenario", SCENARIO_KEYS)
    for key in ("datasets", "evaluate_only"):
        yield from _list_parts("DATASETS", scenario, key, "scenario.")
    if scenario.get("generate") is not None:
        yield Part(("GENERATORS",), scenario["generate"], "scenario.generate")
    for key in ("train_transform", "eval_transform"):
        yield from _list_parts("TRANSFORMS", scenario, key, "scenario.")


def _model_parts(model: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the model, whose ``type`` is optional if it has a backbone, and its parts."""
    if "type" in model or "backbone" not in model:
        yield Part(("MODELS",), model, "model", ("backbone", "neck", "head", "text_encoder"))
    for key in ("backbone", "neck", "head", "text_encoder"):
        if isinstance(model.get(key), Mapping) and "type" in model[key]:
            yield Part(("MODELS",), model[key], f"model.{key}")


def _strategy_parts(strategy: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the strategy, whose type may be a plugin of ours, and its components."""
    yield Part(("STRATEGIES", "PLUGINS"), strategy, "cl_strategy", STRATEGY_KEYS)
    registries = {"optimizer": "OPTIMIZERS", "scheduler": "LR_SCHEDULERS", "loss": "LOSSES"}
    for key, registry in registries.items():
        if strategy.get(key) is not None:
            yield Part((registry,), strategy[key], f"cl_strategy.{key}")
    yield from _list_parts("PLUGINS", strategy, "plugins", "cl_strategy.")


def component_name(section: object, kind: str, where: str) -> str:
    """Return the ``type`` of a section.

    Args:
        section: The section, which must be a dict with a ``type``.
        kind: What it describes, in words.
        where: Its key path, for the error message.

    Raises:
        ConfigError: It is not a dict, or has no ``type`` that is a name.
    """
    if not isinstance(section, Mapping):
        raise ConfigError(
            f"{where}: expected dict(type=...) naming the {kind}, got "
            f"{type(section).__name__} {section!r}."
        )
    name = section.get("type")
    if name is None:
        raise ConfigError(f"{where}: no 'type'. Name the {kind}: dict(type='...', ...).")
    if not isinstance(name, str):
        raise ConfigError(f"{where}.type: expected a name (a string), got {name!r}.")
    return name


def _check(part: Part, names: NameIndex, *, certain: bool) -> None:
    """Check a component's name, and the arguments that look like typos."""
    kind = names.kinds.get(part.registries[0], "component")
    name = component_name(part.section, kind, part.where)
    if not certain:
        return
    if not any(names.knows(registry, name) for registry in part.registries):
        raise ConfigError(f"{part.where}: unknown {kind} '{name}'.{_advice(part, name, names)}")
    signatures = (names.signature(registry, name) for registry in part.registries)
    signature = next((one for one in signatures if one and one.complete), None)
    known = {*signature.annotations, *part.taken, "type"} if signature else set()
    unknown = [str(key) for key in part.section if key not in known] if signature else []
    found = {key: near for key in unknown if (near := misspelt(key, known))}
    if found:
        raise ConfigError(
            "\n".join(
                f"{part.where} '{name}': unexpected argument {key!r}. Did you mean '{near}'?"
                for key, near in found.items()
            )
        )


def _advice(part: Part, name: str, names: NameIndex) -> str:
    """Return a suggestion for an unknown name."""
    known = {known for registry in part.registries for known in names.names(registry)}
    if near := closest(name, known):
        return near
    own = {known for registry in part.registries for known in names.own(registry)}
    return f" Known: {', '.join(sorted(known if len(known) <= MANY else own)) or 'none'}."
