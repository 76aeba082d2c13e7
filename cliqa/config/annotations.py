"""Annotations: what they are, what a config may hold for them, and how they are said in words."""

from __future__ import annotations

import enum
import math
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Len
from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, StrictFloat, StrictInt

from cliqa.config.flags import as_flag

UNKNOWN: Any = Any
"""Stands for an annotation that does not tell what a config may hold."""

TwoNumbers = Annotated[Sequence[float], Len(2, 2)]
ThreeNumbers = Annotated[Sequence[float], Len(3, 3)]
"""Lists of numbers of one length, for signatures."""

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
"""One and several of them, in words."""


def _finite(value: Any) -> Any:  # noqa: ANN401
    """Refuse NaN and the infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _as_path(value: str | Path) -> Path:
    """Return a path; pydantic cannot call the class itself."""
    return Path(value)


_TEXT = InstanceOf[str]  # not pydantic's own str: it refuses names that are no UTF-8
_LEAVES: dict[Any, Any] = {
    bool: Annotated[InstanceOf[bool], BeforeValidator(as_flag)],
    int: StrictInt,
    # an integer stays one: nothing that was right is converted
    float: Annotated[StrictInt | StrictFloat, AfterValidator(_finite)],
    str: _TEXT,
    Path: Annotated[_TEXT | InstanceOf[Path], AfterValidator(_as_path)],
    type(None): None,
    None: None,
}
_ORDER = {int: 0, float: 1, Literal: 2, bool: 3, str: 4, Path: 5}
"""The order in which the members of a union are tried: words mean truth values first."""


def resolve(annotation: Any, names: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return an annotation that may be written as a string, or UNKNOWN where it cannot be read.

    Args:
        annotation: As it stands in a signature.
        names: The global names where it was written.

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


def config_type(annotation: Any) -> Any:  # noqa: ANN401
    """Return what a config may hold for an annotation, as a type that pydantic validates.

    Objects that a config describes by ``dict(type=...)`` (a module, a transform) leave open what
    stands there.

    Args:
        annotation: A resolved annotation.

    Returns:
        The type; UNKNOWN where anything goes.
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


def _sequence(kind: Any, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401
    """Return the type of a list or a tuple."""
    items = [item if item is Ellipsis else config_type(item) for item in arguments]
    if kind is tuple and items:
        return tuple[tuple(items)]  # type: ignore[misc]
    item = items[0] if items else UNKNOWN
    return list[item] if kind is list else Sequence[item]  # type: ignore[valid-type]


def _writable(members: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the members of a union, without the tensor that a number may be in torch's own."""
    if not {int, float} & {member for member in members if isinstance(member, type)}:
        return members
    return tuple(member for member in members if getattr(member, "__name__", "") != "Tensor")


def _union(members: tuple[Any, ...]) -> Any:  # noqa: ANN401
    """Return the type of a union; one member that is UNKNOWN leaves all of it open."""
    some = [member for member in members if member is not type(None)]
    some.sort(key=lambda member: _ORDER.get(get_origin(member) or member, len(_ORDER)))
    found = [config_type(member) for member in some]
    if any(one is UNKNOWN for one in found):
        return UNKNOWN
    union: Any = found[0]
    if len(found) > 1:
        union = Annotated[Union[tuple(found)], Field(union_mode="left_to_right")]  # noqa: UP007
    return Union[union, None] if len(some) < len(members) else union  # noqa: UP007


def _is_enum(annotation: Any) -> bool:  # noqa: ANN401
    """Return whether an annotation is an enumeration."""
    return isinstance(annotation, type) and issubclass(annotation, enum.Enum)


def in_words(annotation: Any, *, several: bool = False) -> str:  # noqa: ANN401
    """Return what an annotation accepts, in words that a user of configs knows.

    Args:
        annotation: A resolved annotation.
        several: Say it of more than one.

    >>> in_words(tuple[float, float] | None)
    'a list of two finite numbers or None'
    >>> in_words(Literal["error", "skip"])
    "'error' or 'skip'"
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _either([repr(value) for value in arguments])
    if _is_enum(annotation):
        return _either([repr(member.value) for member in annotation])
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
    """Return the members of a union; a string that may be a path is a path, None comes last."""
    shown = [m for m in members if not (m is str and Path in members)]
    shown.sort(key=lambda member: member is type(None))
    return _either(list(dict.fromkeys(in_words(member, several=several) for member in shown)))


def _list_in_words(kind: Any, arguments: tuple[Any, ...], *, several: bool) -> str:  # noqa: ANN401
    """Return a list with its items."""
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


def _either(choices: list[str]) -> str:
    """Return ``a, b or c``."""
    return " or ".join(part for part in (", ".join(choices[:-1]), choices[-1]) if part)
