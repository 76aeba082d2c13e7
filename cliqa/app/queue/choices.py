"""What a run can be put together from: the streams and models of a folder of configs, methods.

Nothing is listed by hand: a stream is a base in a folder ``datasets`` that configs inherit from,
its models are the bases in ``models`` that these configs use with it.
"""

from __future__ import annotations

import ast
import inspect
import re
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from cliqa.config.annotations import UNKNOWN
from cliqa.config.arguments import Component, arguments_of
from cliqa.config.inheritance import ConfigFile, read_chain
from cliqa.registry import PLUGINS, STRATEGIES
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

SWITCHES = frozenset({"ChannelPruning", "QAT"})
"""Plugins that have switches of their own: they go beside a method."""

EMBEDDED = "generated"
"""How the streams begin that generate their data: they come first."""

FIRST = "demo"
"""The config whose stream is proposed: the one that the first commands name."""

SCALARS = (bool, int, float, str)
"""What a field of a page may hold: a number, a word, true or false."""


@dataclass(frozen=True)
class Stream:
    """A stream of data sets, and the models that its configs train.

    Attributes:
        name: Of its file, without the ending.
        text: What it is, in a sentence.
        models: The config to start from, by the name of the model's file.
        texts: What each model is, in a sentence.
    """

    name: str
    text: str
    models: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Field:
    """An argument of a method that a page can ask for.

    Attributes:
        name: The argument.
        default: Its default; None may also be its value.
        text: What the method's documentation says about it.
        required: It has no default.
        flag: It is true or false.
    """

    name: str
    default: Any
    text: str
    required: bool = False
    flag: bool = False


def streams_of(folder: Path | None) -> dict[str, Stream]:
    """Return the streams of a folder of configs by name; the demo's comes first.

    Those with generated data follow, then those whose data one must have.

    A config that cannot be read is left out, and the log says why.
    """
    found: dict[str, Stream] = {}
    proposed = ""
    for path in sorted(folder.glob("*.py")) if folder else ():
        try:
            file = read_chain(path)
        except ConfigError as error:
            logger.warning("left out: %s", error)
            continue
        bases = {kind: _base_in(file, kind) for kind in ("datasets", "models")}
        data, model = bases["datasets"], bases["models"]
        if data is None or model is None or "pretrain" in file.names:
            continue
        stream = found.setdefault(data.path.stem, Stream(data.path.stem, _about(data)))
        proposed = stream.name if path.stem == FIRST else proposed
        name = model.path.stem
        stream.texts[name] = _sentence(model)
        if name not in stream.models or path.stem.endswith("_naive"):
            stream.models[name] = path

    def place(name: str) -> tuple[bool, bool, str]:
        return name != proposed, not name.startswith(EMBEDDED), name

    return {name: found[name] for name in sorted(found, key=place)}


def _base_in(file: ConfigFile, folder: str) -> ConfigFile | None:
    """Return the first base in a folder of this name, the one nearest to the config."""
    return next((part for part in file.chain() if part.path.parent.name == folder), None)


def _about(data: ConfigFile) -> str:
    """Return what a stream is, and whether its data must be there already."""
    generated = data.path.stem.startswith(EMBEDDED)
    return _sentence(data) + ("" if generated else ". Its data must be on the server already")


def _sentence(file: ConfigFile) -> str:
    """Return the first sentence of a file's documentation."""
    text = ast.get_docstring(file.tree) or file.path.stem
    return text.splitlines()[0].rstrip(".")


@cache
def methods() -> dict[str, str]:
    """Return our methods with a sentence about each: strategies, and plugins that make one."""
    names = {*STRATEGIES.names(), *PLUGINS.names()} - SWITCHES
    found = {name: component_of(name) for name in sorted(names)}
    return {
        name: (inspect.getdoc(component) or name).splitlines()[0]
        for name, component in found.items()
        if component is not None and not any(field.required for field in fields_of(name))
    }


def component_of(method: str) -> Component | None:
    """Return the class of a method of ours; Avalanche has others of the same name."""
    for registry in (STRATEGIES, PLUGINS):
        component = registry.get(method)
        if getattr(component, "__module__", "").startswith("cliqa.training"):
            return component
    return None


@cache
def fields_of(method: str) -> Sequence[Field]:
    """Return the arguments of a method that a page can ask for.

    Left out are Avalanche's own arguments, which the config's other keys set, and what is no plain
    value: networks, and files, which a browser must not name.

    Raises:
        ConfigError: There is no such method.
    """
    component = component_of(method)
    if component is None:
        raise ConfigError(f"{method}: no such method.")
    texts = argument_texts(component)
    found = []
    for name, argument in arguments_of(component).items():
        if argument.module.startswith("avalanche") or not _is_plain(argument.annotation):
            continue
        required = argument.default is inspect.Parameter.empty
        default = None if required else argument.default
        flag = argument.annotation is bool
        found.append(Field(name, default, texts.get(name, ""), required, flag))
    return tuple(found)


def _is_plain(annotation: Any) -> bool:  # noqa: ANN401
    """Return whether plain values fit an annotation, and no files or objects do."""
    members = _members(annotation)
    return bool(members) and all(member in SCALARS for member in members)


def _members(annotation: Any) -> list[Any]:  # noqa: ANN401
    """Return the types that an annotation allows, those of a list's items too."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is UNKNOWN:
        return [UNKNOWN]
    if origin in (Union, types.UnionType):
        return [part for one in inner if one is not type(None) for part in _members(one)]
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return [part for one in inner if one is not Ellipsis for part in _members(one)]
    if inspect.isclass(origin):  # a mapping: the page has no field for it
        return []
    return [annotation]


def argument_texts(component: object) -> dict[str, str]:
    """Return what the documentation of a class says about its arguments, the bases' too."""
    found: dict[str, str] = {}
    for owner in inspect.getmro(component) if inspect.isclass(component) else (component,):
        for name, text in _documented(inspect.cleandoc(owner.__doc__ or "")):
            found.setdefault(name, text)
    return found


def _documented(text: str) -> Iterator[tuple[str, str]]:
    """Yield the arguments that a documentation describes, each in a line."""
    section = re.search(r"^Args:\n((?:    .*\n?|\n)*)", text, re.MULTILINE)
    for entry in re.split(r"\n(?=    \w)", section[1]) if section else ():
        name, colon, about = entry.strip().partition(":")
        if colon and re.fullmatch(r"\w+", name):
            yield name, " ".join(about.split())
