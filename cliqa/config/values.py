"""Plain values of a config: what may stand in one, and how it is written down."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cliqa.utils.errors import ConfigError

LEFT_BY_MMENGINE = frozenset({"_delete_", "_scope_"})
"""Keys that mean something while files are merged, and nothing to a component."""
PLACEHOLDER = re.compile(r"\{\{.*?\}\}")
WIDTH = 100
BITS = 64
MISSING = object()


DEEPEST = 32
"""Levels of dicts and lists in a section: real ones have a dozen."""


def plain(value: Any, where: str, depth: int = 0) -> Any:  # noqa: ANN401
    """Return a copy of `value` that consists of Python's own types.

    Args:
        value: Numbers, strings, None, and lists, tuples and dicts of them.
        where: File and key path, for the error message.
        depth: Levels of lists and dicts above it.

    Raises:
        ConfigError: There is something else in it (a class, a function, a tensor ...), a
            placeholder ``{{ ... }}`` that nothing has replaced, or too many levels.
    """
    if depth > DEEPEST:
        raise ConfigError(f"{where[:80]}...: nested too deeply. {DEEPEST} levels are the most.")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _without_placeholder(value, where)
    if isinstance(value, (int, float)):  # NumPy's float64 is a float, but is written differently
        return _plain_integer(value, where) if isinstance(value, int) else float(value)
    if isinstance(value, dict):
        return {
            _plain_key(key, where): plain(item, f"{where}.{key}", depth + 1)
            for key, item in dict.items(value)
            if key not in LEFT_BY_MMENGINE
        }
    if isinstance(value, (list, tuple)):
        items = [plain(item, f"{where}.{index}", depth + 1) for index, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    raise ConfigError(
        f"{where}: a config holds numbers, strings, None, lists and dicts, and this is "
        f"{_name_of(value)}. {_instead_of(value)}"
    )


def _plain_integer(value: int, where: str) -> int:
    """Return an integer that a computer counts with."""
    if value.bit_length() <= BITS:
        return int(value)
    raise ConfigError(f"{where}: an integer of {value.bit_length()} bits. {BITS} are the most.")


def _plain_key(key: Any, where: str) -> Any:  # noqa: ANN401
    """Return a dict's key."""
    if isinstance(key, (str, int, float)) or key is None:
        return key
    raise ConfigError(f"{where}: the key {key!r} is {_name_of(key)}. Use a string or a number.")


def _without_placeholder(text: str, where: str) -> str:
    """Return a string that holds no placeholder."""
    left = PLACEHOLDER.search(text)
    if left is None:
        return str(text)
    raise ConfigError(
        f"{where}: nothing has replaced {left[0]}. There are {{{{ fileDirname }}}}, "
        "{{ fileBasename }}, {{ fileBasenameNoExtension }}, {{ fileExtname }}, "
        "{{$VARIABLE:default}}, and {{_base_.key}} as a whole value."
    )


def _name_of(value: Any) -> str:  # noqa: ANN401
    """Return what a value is, for a message."""
    if isinstance(value, type):
        return f"the class {value.__module__}.{value.__qualname__}"
    if callable(value):
        return f"the function {getattr(value, '__qualname__', value)!s}"
    return f"a {type(value).__module__}.{type(value).__qualname__}".replace(" builtins.", " ")


def _instead_of(value: Any) -> str:  # noqa: ANN401
    """Return what to write instead of a value that is not plain."""
    if isinstance(value, type):
        return f"Write its name: '{value.__module__}.{value.__qualname__}'."
    if callable(value):
        return "Write the name of a registered component: dict(type='...')."
    if hasattr(value, "tolist"):
        return "Write .tolist() behind it."
    if isinstance(value, (set, frozenset)):
        return "Write a list."
    return "Write it as a string or a number."


def format_config(config: Mapping[str, Any]) -> str:
    """Return a config as the text of a Python file that loads to an equal config."""
    return "\n".join(f"{key} = {_written(value, '')}\n" for key, value in config.items())


def _written(value: Any, indent: str) -> str:  # noqa: ANN401
    """Return a plain value as Python code, on one line if that is short enough."""
    line = _one_line(value)
    if len(indent) + len(line) <= WIDTH - 20 or not isinstance(value, (dict, list, tuple)):
        return line
    inner = indent + "    "
    parts = [f"{inner}{name}{_written(item, inner)},\n" for name, item in _parts(value)]
    start, end = _brackets(value)
    return f"{start}\n{''.join(parts)}{indent}{end}"


def _one_line(value: Any) -> str:  # noqa: ANN401
    """Return a plain value as one line of Python code."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if not isinstance(value, (dict, list, tuple)):
        return repr(value)
    start, end = _brackets(value)
    inner = ", ".join(name + _one_line(item) for name, item in _parts(value))
    return f"{start}{inner}{',' if isinstance(value, tuple) and len(value) == 1 else ''}{end}"


def _brackets(value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> tuple[str, str]:
    """Return what opens and what closes a collection."""
    if isinstance(value, dict):
        return ("dict(", ")") if _is_keywords(value) else ("{", "}")
    return ("[", "]") if isinstance(value, list) else ("(", ")")


def _parts(value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Yield a collection's items with what stands before each: ``key=``, ``'key': `` or nothing."""
    if not isinstance(value, dict):
        yield from (("", item) for item in value)
    elif _is_keywords(value):
        yield from ((f"{key}=", item) for key, item in value.items())
    else:
        yield from ((f"{_one_line(key)}: ", item) for key, item in value.items())


def _is_keywords(value: dict[Any, Any]) -> bool:
    """Return whether a dict can be written as ``dict(key=...)``."""
    return all(
        isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key) for key in value
    )


def flatten(value: Any, where: str = "") -> dict[str, Any]:  # noqa: ANN401
    """Return a nested config as ``{"model.depth": 18}``; an item of a list by its index."""
    if not isinstance(value, (dict, list, tuple)) or not value:
        return {where: value} if where else {}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found: dict[str, Any] = {}
    for key, item in items:
        found.update(flatten(item, f"{where}.{key}" if where else str(key)))
    return found


def differing_keys(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return the dotted keys whose values differ between two configs, sorted."""
    left, right = flatten(dict(a)), flatten(dict(b))
    return sorted(
        key for key in {*left, *right} if not _same(left.get(key, MISSING), right.get(key, MISSING))
    )


def _same(a: Any, b: Any) -> bool:  # noqa: ANN401
    """Return whether two values mean the same; NaN equals itself."""
    return bool(a == b) or (a != a and b != b)  # noqa: PLR0124
