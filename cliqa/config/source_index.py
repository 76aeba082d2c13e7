"""A first look at a config's names, in well under the time that importing torch takes.

The real check imports every component and knows every signature. This one reads sources and finds
what a mistyped name needs to be refused at once. It never refuses what the real one accepts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cliqa.config.source_names import SourceNames
from cliqa.config.suggest import closest, misspelt
from cliqa.utils.errors import ConfigError

MANY = 40
"""With more names than this, an error lists our own alone."""


@dataclass(frozen=True)
class Part:
    """A section of a config that names a component.

    Args:
        registries: Where the name may stand; the first one's kind is used in messages.
        section: What the config has there.
        where: Its key path.
        taken: Keys of the section that are not the component's arguments.
    """

    registries: tuple[str, ...]
    section: Any
    where: str
    taken: tuple[str, ...] = ()


SCENARIO_KEYS = ("dataset_type", "dataset_root", "generate")
STRATEGY_KEYS = (
    *("optimizer", "scheduler", "loss", "plugins"),
    *("train_mb_size", "train_epochs", "eval_mb_size", "eval_every"),
)


def quick_check(config: Mapping[str, Any], names: SourceNames | None = None) -> None:
    """Refuse misspelt component names, and misspelt arguments of our own components.

    Names that ``custom_imports`` may bring and dotted paths are left to the real check.

    Args:
        config: What `load_config` returned.
        names: The names to look up; those of the installed sources by default.

    Raises:
        ConfigError: With one line for every mistake found.
    """
    names = names or SourceNames()
    mistakes = []
    for part in parts_of(config):
        try:
            _check(part, names, certain=not config.get("custom_imports"))
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def parts_of(config: Mapping[str, Any]) -> Iterator[Part]:
    """Yield what names a component in a config.

    Args:
        config: What `load_config` returned, or is about to.
    """
    whole = "pretrain" not in config  # a pretraining has no strategy, and may have no stream
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
    """Yield the parts of the scenario; ``dataset_type`` is another name of its ``type``."""
    name = scenario.get("type", scenario.get("dataset_type"))
    yield Part(("SCENARIOS",), {**scenario, "type": name}, "scenario", SCENARIO_KEYS)
    yield from _list_parts("DATASETS", scenario, "datasets", "scenario.")
    if scenario.get("generate") is not None:
        yield Part(("GENERATORS",), scenario["generate"], "scenario.generate")
    for key in ("train_transform", "eval_transform"):
        yield from _list_parts("TRANSFORMS", scenario, key, "scenario.")


def _model_parts(model: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the model, which needs no ``type`` where it has a backbone, and its parts."""
    if "type" in model or "backbone" not in model:
        yield Part(("MODELS",), model, "model", ("backbone", "neck", "head", "text_encoder"))
    for key in ("backbone", "neck", "head", "text_encoder"):
        if isinstance(model.get(key), Mapping) and "type" in model[key]:
            yield Part(("MODELS",), model[key], f"model.{key}")


def _strategy_parts(strategy: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the strategy, whose type may be a plugin of ours, and its parts."""
    yield Part(("STRATEGIES", "PLUGINS"), strategy, "cl_strategy", STRATEGY_KEYS)
    registries = {"optimizer": "OPTIMIZERS", "scheduler": "LR_SCHEDULERS", "loss": "LOSSES"}
    for key, registry in registries.items():
        if strategy.get(key) is not None:
            yield Part((registry,), strategy[key], f"cl_strategy.{key}")
    yield from _list_parts("PLUGINS", strategy, "plugins", "cl_strategy.")


def _check(part: Part, names: SourceNames, *, certain: bool) -> None:
    """Check one component's name, and the arguments that look like slips."""
    kind = names.kinds.get(part.registries[0], "component")
    if not isinstance(part.section, Mapping):
        raise ConfigError(
            f"{part.where}: expected dict(type=...) naming the {kind}, got "
            f"{type(part.section).__name__} {part.section!r}."
        )
    name = part.section.get("type")
    if name is None:
        raise ConfigError(f"{part.where}: no 'type'. Name the {kind}: dict(type='...', ...).")
    if not isinstance(name, str):
        raise ConfigError(f"{part.where}.type: expected a name (a string), got {name!r}.")
    if certain and not any(names.knows(registry, name) for registry in part.registries):
        raise ConfigError(f"{part.where}: unknown {kind} '{name}'.{_advice(part, name, names)}")
    if certain:
        _check_arguments(part, name, names)


def _advice(part: Part, name: str, names: SourceNames) -> str:
    """Return what to write instead of an unknown name."""
    known = {known for registry in part.registries for known in names.names(registry)}
    if near := closest(name, known):
        return near
    own = {known for registry in part.registries for known in names.own(registry)}
    return f" Known: {', '.join(sorted(known if len(known) <= MANY else own)) or 'none'}."


def _check_arguments(part: Part, name: str, names: SourceNames) -> None:
    """Refuse arguments that can only be a slip of one that the component takes."""
    for registry in part.registries:
        arguments = names.arguments(registry, name)
        if arguments is not None:
            break
    else:
        return
    known = {*arguments, *part.taken, "type"}
    for key in part.section:
        slip = None if key in known else misspelt(str(key), known)
        if slip:
            raise ConfigError(
                f"{part.where} '{name}': unexpected argument '{key}'. Did you mean '{slip}'?"
            )
