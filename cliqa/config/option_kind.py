"""Which options are names: their text is the value, whatever else it looks like."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from cliqa.config.sections import SECTIONS
from cliqa.config.source_index import parts_of
from cliqa.config.source_names import SourceNames


class Kind(NamedTuple):
    """What the text of an option can mean.

    Attributes:
        name: A name.
        lists: Lists of names, or a dict.
        none: ``None``.
    """

    name: bool = True
    lists: bool = False
    none: bool = False


KEYS = {
    "work_dir": Kind(none=True),
    "load_from": Kind(lists=True, none=True),
    "load_from.path": Kind(),
    "load_from.prefix": Kind(),
    "load_from.drop": Kind(name=False, lists=True),
    "load_from.freeze": Kind(name=False, lists=True),
    "scenario.dataset_root": Kind(),
    "pretrain.data.root": Kind(none=True),
    "pretrain.anchors.weights": Kind(none=True),
    "custom_imports.imports": Kind(name=False, lists=True),
}
"""Keys that hold names and are no component's arguments."""


@cache
def _sources() -> SourceNames:
    """Return the names and signatures of our components, read once."""
    return SourceNames()


def kind_of(config: Mapping[str, Any], key: str) -> Kind | None:
    """Return how the text of an option is read, or None where it is no name.

    A component's annotations tell: ``labels: str | None`` is a name. They are read from the
    sources, so that nothing is imported; other people's components are left open.

    Args:
        config: The config that the option changes.
        key: The option's key, such as ``scenario.datasets.0.root``.
    """
    if key in KEYS:
        return KEYS[key]
    owner, _, name = key.rpartition(".")
    sound = {k: v for k, v in config.items() if k in SECTIONS and SECTIONS[k].check(v) is None}
    for part in parts_of(sound):
        if re.sub(r"\[(\d+)\]", r".\1", part.where) != owner or not isinstance(part.section, dict):
            continue
        for registry in part.registries:
            notes = _sources().annotations(registry, str(part.section.get("type")))
            if name in notes:
                return kind_in_words(notes[name])
    return None


def kind_in_words(annotation: str) -> Kind | None:
    """Return how the text of an argument is read, from its annotation.

    >>> kind_in_words("str | None")
    Kind(name=True, lists=False, none=True)
    >>> kind_in_words("Sequence[str]")
    Kind(name=False, lists=True, none=False)
    >>> kind_in_words("bool | str") is None
    True
    """
    members = {ast.unparse(node) for node in _members(ast.parse(annotation, mode="eval").body)}
    names = members & {"str", "Path"}
    lists = members & {"Sequence[str]", "Mapping[str, Any]"}
    objects = {member for member in members if re.fullmatch(r"\w+\.[A-Z]\w*", member)}
    if members - names - lists - objects - {"None"} or not names | (members & {"Sequence[str]"}):
        return None
    return Kind(bool(names), bool(lists), "None" in members)


def _members(node: ast.expr) -> list[ast.expr]:
    """Return the members of a union that is written with bars."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_members(node.left), *_members(node.right)]
    return [node]
