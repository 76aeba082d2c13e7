"""Annotations: the values that a config may give for them, and their description in words."""

from __future__ import annotations

import enum
import math
import re
import reprlib
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Len
from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, StrictFloat, StrictInt

from cliqa.utils.errors import either

UNKNOWN: Any = Any
"""The annotation of an argument that accepts anything."""

Annotation = Any
"""A type, a union, a generic alias, or a string: Python has no common class for them."""

WORDS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
"""Words for True and False, in any case."""

TwoNumbers = Annotated[Sequence[float], Len(2, 2)]
ThreeNumbers = Annotated[Sequence[float], Len(3, 3)]
"""Lists of a fixed number of numbers, for signatures."""

LISTS = (Sequence, list, Iterable, Collection)
MAPPINGS = (Mapping, dict)
NUMBERS = ("no", "one", "two", "three", "four", "five")
SCALARS: dict[Any, tuple[str, str]] = {
    bool: ("true or false", "truth values"),
    int: ("an integer", "integers"),
    float: ("a finite number", "finite numbers"),
    str: ("a string", "strings"),
    Path: ("a path", "paths"),
    type(None): ("None", "None"),
}
"""Singular and plural, in words."""


def as_flag(value: object) -> object:
    """Return the truth value of a word, 0 or 1; other values unchanged.

    >>> as_flag("No"), as_flag(1), as_flag("maybe")
    (False, True, 'maybe')
    """
    if isinstance(value, str):
        return WORDS.get(value.strip().lower(), value)
    return bool(value) if type(value) is int and value in (0, 1) else value


def _finite(value: float) -> float:
    """Refuse NaN and infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _as_path(value: str | Path) -> Path:
    """Return a path; pydantic cannot call the class itself."""
    return Path(value)


_TEXT = InstanceOf[str]  # pydantic's own str refuses names that are not UTF-8
_LEAVES: dict[Any, Any] = {
    bool: Annotated[InstanceOf[bool], BeforeValidator(as_flag)],
    int: StrictInt,
    # integers are not converted
    float: Annotated[StrictInt | StrictFloat, AfterValidator(_finite)],
    str: _TEXT,
    Path: Annotated[_TEXT | InstanceOf[Path], AfterValidator(_as_path)],
    type(None): None,
    None: None,
}
_ORDER = {int: 0, float: 1, Literal: 2, bool: 3, str: 4, Path: 5}
"""The order in which the members of a union are tried: words as truth values first."""


def resolve(annotation: Annotation, names: Mapping[str, Any]) -> Annotation:
    """Return an annotation that may be written as a string, or UNKNOWN if it cannot be read.

    Args:
        annotation: The annotation in a signature.
        names: The global names of its module.

    >>> resolve("int | None", {})
    int | None
    >>> resolve("NoSuchName", {}) is UNKNOWN
    True
    """
    holder = types.SimpleNamespace(__annotations__={"value": annotation})
    try:
        return get_type_hints(holder, dict(names), include_extras=True)["value"]
    except Exception:  # noqa: BLE001  a user's annotation may be any expression
        return UNKNOWN


def config_type(annotation: Annotation) -> Annotation:
    """Return the type that pydantic validates for an annotation.

    Annotations of objects that a config describes by ``dict(type=...)`` accept anything.

    Args:
        annotation: A resolved annotation.

    Returns:
        The type; UNKNOWN for anything.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal or _is_enum(annotation):
        return annotation
    if origin in (Union, types.UnionType):
        return _union(_writable(arguments))
    if origin is Annotated:
        return Annotated[(config_type(arguments[0]), *arguments[1:])]
    kind = origin or annotation
    if kind in LISTS or kind is tuple:
        return _sequence(kind, arguments)
    if kind in MAPPINGS:
        return dict[Any, Any]
    try:
        return _LEAVES.get(annotation, UNKNOWN)
    except TypeError:  # unhashable
        return UNKNOWN


def _sequence(kind: Annotation, arguments: tuple[Annotation, ...]) -> Annotation:
    """Return the type of a list or a tuple."""
    items = [item if item is Ellipsis else config_type(item) for item in arguments]
    if kind is tuple and items:
        return tuple[tuple(items)]  # type: ignore[misc]
    item = items[0] if items else UNKNOWN
    return list[item] if kind is list else Sequence[item]  # type: ignore[valid-type]


def _writable(members: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the members of a union, without ``Tensor`` where torch also accepts a number."""
    if not {int, float} & {member for member in members if isinstance(member, type)}:
        return members
    return tuple(member for member in members if getattr(member, "__name__", "") != "Tensor")


def _union(members: tuple[Annotation, ...]) -> Annotation:
    """Return the type of a union; UNKNOWN if a member is."""
    some = [member for member in members if member is not type(None)]
    some.sort(key=lambda member: _ORDER.get(get_origin(member) or member, len(_ORDER)))
    found = [config_type(member) for member in some]
    if any(one is UNKNOWN for one in found):
        return UNKNOWN
    union: Any = found[0]
    if len(found) > 1:
        union = Annotated[Union[tuple(found)], Field(union_mode="left_to_right")]  # noqa: UP007
    return Union[union, None] if len(some) < len(members) else union  # noqa: UP007


def _is_enum(annotation: Annotation) -> bool:
    """Return whether an annotation is an enumeration."""
    return isinstance(annotation, type) and issubclass(annotation, enum.Enum)


def in_words(annotation: Annotation, *, several: bool = False) -> str:
    """Return a description of what an annotation accepts.

    Args:
        annotation: A resolved annotation.
        several: Use the plural.

    >>> in_words(tuple[float, float] | None)
    'a list of two finite numbers or None'
    >>> in_words(Literal["error", "skip"])
    "'error' or 'skip'"
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return either([repr(value) for value in arguments])
    if _is_enum(annotation):
        return either([repr(member.value) for member in annotation])
    if origin in (Union, types.UnionType):
        return _union_in_words(_writable(arguments), several=several)
    if origin is Annotated:
        lengths = [one.min_length for one in arguments[1:] if isinstance(one, Len)]
        item = get_args(arguments[0])[:1]
        pair: Any = tuple[item * lengths[0]] if lengths else arguments[0]  # type: ignore[misc]
        return in_words(pair, several=several)
    kind = origin or annotation
    if kind in LISTS or kind is tuple:
        return _list_in_words(kind, arguments, several=several)
    if kind in MAPPINGS:
        return "dict(...)"
    return SCALARS.get(annotation, ("anything", "anything"))[several]


def _union_in_words(members: tuple[Any, ...], *, several: bool) -> str:
    """Return a description of a union; a path includes strings, None comes last."""
    shown = [m for m in members if not (m is str and Path in members)]
    shown.sort(key=lambda member: member is type(None))
    return either(list(dict.fromkeys(in_words(member, several=several) for member in shown)))


def _list_in_words(kind: Annotation, arguments: tuple[Annotation, ...], *, several: bool) -> str:
    """Return a description of a list."""
    name = "lists" if several else "a list"
    if not arguments:
        return name
    if kind is not tuple or Ellipsis in arguments:
        return f"{name} of {in_words(arguments[0], several=True)}"
    if len(set(arguments)) > 1:
        return f"{name} of {', '.join(in_words(argument) for argument in arguments)}"
    number = len(arguments)
    count = NUMBERS[number] if number < len(NUMBERS) else str(number)
    return f"{name} of {count} {in_words(arguments[0], several=True)}"


def mismatch(annotation: Annotation, value: object) -> str:
    """Return the error message for a value that does not fit an annotation.

    >>> mismatch(Path, 3)
    "expected a path, got 3. If it is a name, write it in quotes: '3'."
    """
    expected = in_words(annotation)
    if not re.search(r"\b(nan|inf)\b", repr(value)):
        expected = expected.replace("finite ", "")
    advice = ""
    if {str, Path} & {annotation, *get_args(annotation)} and isinstance(value, (int, float)):
        advice = f" If it is a name, write it in quotes: '{value}'."
    return f"expected {expected}, got {reprlib.repr(value)}.{advice}"


def lenient(annotation: Annotation) -> Annotation:
    """Return a library's annotation with allowances for what it omits.

    >>> lenient(int)
    int | float | None
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is UNKNOWN:
        return annotation
    if origin is tuple and len(arguments) == 1:
        return tuple[arguments[0], ...] | None  # type: ignore[valid-type]
    if annotation is int:
        return int | float | None
    if origin in (Union, types.UnionType):
        return Union[tuple(lenient(member) for member in arguments)]  # noqa: UP007
    return Union[annotation, None]  # noqa: UP007
