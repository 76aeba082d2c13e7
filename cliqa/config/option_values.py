"""The values of command-line options: how the text of an option becomes a plain value."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import NamedTuple

from cliqa.config.components import parts_of
from cliqa.config.names import name_index
from cliqa.config.sections import SECTIONS
from cliqa.config.values import Value
from cliqa.utils.errors import ConfigError

WORDS = {"true": True, "false": False}
OPENING = {"(": ")", "[": "]"}
BRACKETS = {**OPENING, "{": "}"}


class Kind(NamedTuple):
    """How the text of an option that holds names is read.

    Attributes:
        name: It may be a name.
        lists: It may be a list of names, or a dict.
        none: It may be ``None``.
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
"""Keys that hold names and are not arguments of components."""


def kind_of(config: Mapping[str, Value], key: str) -> Kind | None:
    """Return how the text of an option is read if its key holds a name, else None.

    It follows the annotations of our components (``labels: str | None`` is a name), which are read
    from the sources, so that nothing is imported.

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
            signature = name_index().signature(registry, str(part.section.get("type")))
            if signature and signature.annotations.get(name):
                return kind_of_annotation(signature.annotations[name])
    return None


def kind_of_annotation(annotation: str) -> Kind | None:
    """Return how the text of an option is read, from an annotation.

    >>> kind_of_annotation("str | None")
    Kind(name=True, lists=False, none=True)
    >>> kind_of_annotation("Sequence[str]")
    Kind(name=False, lists=True, none=False)
    >>> kind_of_annotation("bool | str") is None
    True
    """
    members = set(annotation.split(" | "))
    names = members & {"str", "Path"}
    lists = members & {"Sequence[str]", "Mapping[str, Any]"}
    objects = {member for member in members if re.fullmatch(r"\w+\.[A-Z]\w*", member)}
    if members - names - lists - objects - {"None"} or not names | (members & {"Sequence[str]"}):
        return None
    return Kind(bool(names), bool(lists), "None" in members)


def parse_value(text: str, old: Value, where: str, kind: Kind | None = None) -> Value:
    """Return the value of ``KEY=text``, by mmengine's rules without their traps.

    Numbers, True, False and None are read as in Python; ``1,2,3`` and ``[1,2]`` are lists,
    ``(1,2)`` is a tuple; ``dict(type='SGD', lr=0.1)`` and ``{'type': 'SGD'}`` are dicts; other
    texts are strings. Text in quotes is a string. If the current value is a string, or the text
    looks like a path, a comma does not make a list.

    If the key holds a name (a folder, a file, a column), the text itself is the name, even
    ``2024``, ``True`` and ``[z]``; quotes around it are removed.

    Args:
        text: The text after ``=``.
        old: The current value of the key.
        where: The option, for the error message.
        kind: What the value may be if the key holds a name; None for other keys.

    Raises:
        ConfigError: Brackets are not balanced, or a dict cannot be read.

    >>> parse_value("1e-3", 0.1, "--cfg-options lr")
    0.001
    >>> parse_value("(256,256)", None, "--cfg-options size")
    (256, 256)
    >>> parse_value("a,b.csv", "c.csv", "--cfg-options labels")
    'a,b.csv'
    >>> parse_value("2024", None, "", Kind()), parse_value("[a, 1]", None, "", Kind(lists=True))
    ('2024', ['a', '1'])
    """
    text = text.strip()
    quoted = _quoted(text)
    if quoted is not None and (kind or not _is_bracketed(quoted)):
        return quoted
    if kind and kind.none and text == "None":
        return None
    if kind and not kind.lists:
        return text
    text = text if quoted is None else quoted
    is_path = "/" in text or "\\" in text
    commas = isinstance(old, (list, tuple)) or not (isinstance(old, str) or is_path)
    commas = "," in text and (commas or bool(kind and not kind.name))
    try:
        return _read(text, where, names=bool(kind), commas=commas)
    except RecursionError as error:
        raise ConfigError(f"{where}: nested too deeply. Reduce the nesting.") from error


def _read(text: str, where: str, *, names: bool, commas: bool = False) -> Value:
    """Return a dict, a list, a tuple or a scalar.

    Args:
        text: Without quotes around it.
        where: The option, for the error message.
        names: Items of lists are names.
        commas: Commas without brackets separate the items of a list.
    """
    if text.startswith(("{", "dict(")):
        return _dict(text, where)
    if text[:1] in OPENING:
        if not _is_bracketed(text):
            raise ConfigError(f"{where}={text}: '{OPENING[text[0]]}' is missing at the end.")
        parts = _split(text[1:-1], where)
    elif commas:
        parts = _split(text, where)
    else:
        return text if names else _scalar(text)
    items = [_item(part.strip(), where, names=names) for part in parts]
    return tuple(items) if text[0] == "(" else items


def _item(text: str, where: str, *, names: bool) -> Value:
    """Return an item of a list."""
    quoted = _quoted(text)
    if quoted is not None:
        return quoted
    if names or (text[:1] in OPENING and not _is_bracketed(text)):
        return text
    return _read(text, where, names=False)


def _scalar(text: str) -> int | float | bool | str | None:
    """Return a number, a truth value, None or the text."""
    for kind in (int, float):
        try:
            return kind(text) if "_" not in text else text  # Python reads 1_2 as 12
        except ValueError:
            continue
    return None if text == "None" else WORDS.get(text.lower(), text)


def _quoted(text: str) -> str | None:
    """Return the text between quotes, or None if there are none."""
    return text[1:-1] if re.fullmatch(r"'[^']*'|\"[^\"]*\"", text) else None


def _is_bracketed(text: str) -> bool:
    """Return whether the text is a list or a tuple."""
    return bool(text) and OPENING.get(text[0]) == text[-1]


def _split(text: str, where: str) -> list[str]:
    """Return the parts between the commas outside brackets and quotes."""
    parts, quote, open_brackets = [""], "", []
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in BRACKETS:
            open_brackets.append(BRACKETS[letter])
        elif letter in ")]}" and (not open_brackets or open_brackets.pop() != letter):
            raise ConfigError(f"{where}={text}: '{letter}' has no opening bracket.")
        if letter == "," and not quote and not open_brackets:
            parts.append("")
        else:
            parts[-1] += letter
    if quote or open_brackets:
        raise ConfigError(f"{where}={text}: {quote or open_brackets[-1]!r} is missing.")
    return parts if parts[-1].strip() else parts[:-1]  # a last comma ends the list: (256,)


def _dict(text: str, where: str) -> dict[str, Value]:
    """Return the value of ``dict(type='SGD')`` or ``{'type': 'SGD'}``; nothing is executed."""
    try:
        value = ast.literal_eval(_DictCalls().visit(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{where}: cannot read {text}. Write dict(type='SGD', lr=0.1), strings in quotes."
        ) from error
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {text} is not a dict. Write dict(type='SGD', lr=0.1).")
    return value


class _DictCalls(ast.NodeTransformer):
    """Turns calls ``dict(a=1)`` into literals ``{'a': 1}``."""

    def visit_Call(self, node: ast.Call) -> ast.expr:  # noqa: N802  ast's own name
        """Return the literal of a call of ``dict`` with keywords, other calls unchanged."""
        self.generic_visit(node)
        names = [keyword.arg for keyword in node.keywords]
        if getattr(node.func, "id", "") != "dict" or node.args or None in names:
            return node
        keys: list[ast.expr | None] = [ast.Constant(name) for name in names]
        return ast.Dict(keys, [keyword.value for keyword in node.keywords])
