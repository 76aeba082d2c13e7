"""Plain values of a config: which ones are allowed, and how they are written and compared."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cliqa.utils.errors import ConfigError

LEFT_BY_MMENGINE = frozenset({"_delete_", "_scope_"})
"""Keys of mmengine's merging, which are not arguments of components."""
PLACEHOLDER = re.compile(r"\{\{.*?\}\}")
WIDTH = 80
BITS = 64
"""The most bits of an integer: Python refuses to print very long ones."""

MISSING = object()
DEEPEST = 32
"""The most levels of dicts and lists in a section: real ones have a dozen."""

Value = Any
"""A number, string, truth value, None, or a list, tuple or dict of values."""


def plain(value: object, where: str, depth: int = 0) -> Value:
    """Return a copy of `value` in Python's built-in types.

    Args:
        value: Numbers, strings, None, and lists, tuples and dicts of them.
        where: File and key path, for the error message.
        depth: Levels of lists and dicts above it.

    Raises:
        ConfigError: It contains something else (a class, a function, a tensor ...), a placeholder
            ``{{ ... }}`` that was not replaced, or too many levels.
    """
    if depth > DEEPEST:
        raise ConfigError(
            f"{where[:80]}...: nested too deeply. At most {DEEPEST} levels are allowed."
        )
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
        f"{where}: a config holds numbers, strings, None, lists and dicts, but this is "
        f"{_name_of(value)}. {_instead_of(value)}"
    )


def _plain_integer(value: int, where: str) -> int:
    """Return an integer of at most `BITS` bits."""
    if value.bit_length() <= BITS:
        return int(value)
    raise ConfigError(
        f"{where}: an integer of {value.bit_length()} bits. At most {BITS} are allowed."
    )


def _plain_key(key: object, where: str) -> str | int | float | None:
    """Return a dict's key."""
    if isinstance(key, (str, int, float)) or key is None:
        return key
    raise ConfigError(f"{where}: the key {key!r} is {_name_of(key)}. Use a string or a number.")


def _without_placeholder(text: str, where: str) -> str:
    """Return a string without placeholders."""
    left = PLACEHOLDER.search(text)
    if left is None:
        return str(text)
    raise ConfigError(
        f"{where}: unknown placeholder {left[0]}. Known are {{{{ fileDirname }}}}, "
        "{{ fileBasename }}, {{ fileBasenameNoExtension }}, {{ fileExtname }}, "
        "{{$VARIABLE:default}}, and {{_base_.key}} as a whole value."
    )


def _name_of(value: object) -> str:
    """Return the kind of a value, for a message."""
    if isinstance(value, type):
        return f"the class {value.__module__}.{value.__qualname__}"
    if callable(value):
        return f"the function {getattr(value, '__qualname__', value)!s}"
    return f"a {type(value).__module__}.{type(value).__qualname__}".replace(" builtins.", " ")


def _instead_of(value: object) -> str:
    """Return advice for a value that is not plain."""
    if isinstance(value, type):
        return f"Write its name: '{value.__module__}.{value.__qualname__}'."
    if callable(value):
        return "Write the name of a registered component: dict(type='...')."
    if hasattr(value, "tolist"):
        return "Add .tolist() to it."
    if isinstance(value, (set, frozenset)):
        return "Write a list."
    return "Write it as a string or a number."


def format_config(config: Mapping[str, Value]) -> str:
    """Return a config as the text of a Python file that loads to an equal config."""
    return "\n".join(f"{key} = {as_code(value, '')}\n" for key, value in config.items())


def as_code(value: Value, indent: str | None = None) -> str:
    """Return a plain value as Python code; with an `indent`, on several lines if it is long.

    >>> as_code({"type": "SGD", "lr": 0.1})
    "dict(type='SGD', lr=0.1)"
    """
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if not isinstance(value, (dict, list, tuple)):
        return repr(value)
    start, items, end = _parts(value)
    line = start + ", ".join(name + as_code(item) for name, item in items)
    line += "," + end if isinstance(value, tuple) and len(value) == 1 else end
    if indent is None or len(indent) + len(line) <= WIDTH:
        return line
    inner = indent + "    "
    lines = "".join(f"{inner}{name}{as_code(item, inner)},\n" for name, item in items)
    return f"{start}\n{lines}{indent}{end}"


def _parts(
    value: dict[Any, Value] | list[Value] | tuple[Value, ...],
) -> tuple[str, list[tuple[str, Value]], str]:
    """Return the opening bracket, the items after their keys as code, and the closing bracket."""
    if not isinstance(value, dict):
        start, end = "[]" if isinstance(value, list) else "()"
        return start, [("", item) for item in value], end
    if all(isinstance(k, str) and k.isidentifier() and not keyword.iskeyword(k) for k in value):
        return "dict(", [(f"{key}=", item) for key, item in value.items()], ")"
    return "{", [(f"{as_code(key)}: ", item) for key, item in value.items()], "}"


def walk(value: Value, where: str = "") -> Iterator[tuple[str, object, Value]]:
    """Yield all values in nested dicts and lists, each with its dotted path, and its key or index.

    >>> list(walk({"sizes": [3]}))
    [('sizes', 'sizes', [3]), ('sizes.0', 0, 3)]
    """
    listed = enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, item in value.items() if isinstance(value, Mapping) else listed:
        path = f"{where}.{key}" if where else str(key)
        yield path, key, item
        yield from walk(item, path)


def flatten(config: Mapping[str, Value]) -> dict[str, Value]:
    """Return a nested config as ``{"model.depth": 18}``; an item of a list by its index."""
    return {
        path: value
        for path, _, value in walk(config)
        if not isinstance(value, (Mapping, list, tuple)) or not value
    }


def config_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return the dotted keys whose values differ between two configs, sorted.

    >>> config_differences({"model": {"depth": 18}}, {"model": {"depth": 50}, "seed": 0})
    ['model.depth', 'seed']
    """
    left, right = flatten(a), flatten(b)
    return sorted(
        key for key in {*left, *right} if not _same(left.get(key, MISSING), right.get(key, MISSING))
    )


def _same(a: Value, b: Value) -> bool:
    """Return whether two values are equal; NaN equals itself."""
    return bool(a == b) or (a != a and b != b)  # noqa: PLR0124
