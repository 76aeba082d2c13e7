"""Arguments checked against the annotations of what takes them, and converted to what they mean.

pydantic validates; this module says which annotations count:

* Those of this package and of a user's own components count in full.
* Those of torch, torchvision and Avalanche count with what their authors leave out: None may stand
  anywhere, a number where an integer is asked for, and a tuple of one may have any length.
* Those of the mmlab packages do not count (they often contradict the docstrings); only words for
  True and False are understood.

A default is always accepted, and an annotation that cannot be read accepts anything.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from cliqa.config.annotations import UNKNOWN, config_type, in_words
from cliqa.config.flags import as_flag
from cliqa.config.signature import Argument, arguments_of
from cliqa.utils.errors import ConfigError

LENIENT = ("torch", "torchvision", "avalanche")
"""Packages whose annotations count with allowances."""

UNTYPED = ("mmpretrain", "mmengine", "mmcv", "builtins", "logging")
"""Packages whose annotations do not count."""

WRONG = frozenset({("torchvision.transforms.v2._augment", "value")})
"""Module and argument of annotations that contradict their documentation."""

CONFIG = ConfigDict(arbitrary_types_allowed=True)


def checked_arguments(
    component: Callable[..., Any], given: Mapping[str, Any], before: str
) -> dict[str, Any]:
    """Return arguments as a component takes them.

    Args:
        component: A class or a function.
        given: Its arguments by name; what the signature does not name passes as it is.
        before: What stands before the argument's name in an error message.

    Returns:
        The arguments in their order: words for True and False as truth values, lists as tuples
        where a tuple is asked for, names as members of an enumeration.

    Raises:
        ConfigError: With one line for every argument that does not fit its annotation.
    """
    rules = _rules(component)
    mistakes, found = [], {}
    for name, value in given.items():
        rule = rules.get(name)
        try:
            found[name] = value if rule is None else _checked(rule, value)
        except _UnfitError as error:
            mistakes.append(f"{before}{name}: {error}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return found


class _UnfitError(Exception):
    """What was expected, and what was given."""


class _Rule(NamedTuple):
    """What an argument may be.

    Attributes:
        annotation: What its author says; it is told to the user.
        adapter: Validates and converts; None where anything goes.
        default: Always accepted.
        words: Words for True and False are converted, and anything else goes.
    """

    annotation: Any
    adapter: TypeAdapter[Any] | None
    default: Any
    words: bool = False


@cache
def _rules(component: Callable[..., Any]) -> dict[str, _Rule]:
    """Return the rules of a component's arguments by name."""
    return {name: _rule(name, argument) for name, argument in arguments_of(component).items()}


def _rule(name: str, argument: Argument) -> _Rule:
    """Return the rule of an argument."""
    annotation, default, module = argument
    package = module.partition(".")[0]
    is_flag = annotation is bool or isinstance(default, bool)
    if package in UNTYPED or (module, name) in WRONG:
        return _Rule(UNKNOWN, None, default, words=is_flag)
    accepted = annotation
    if package in LENIENT:
        annotation = bool if is_flag and annotation is UNKNOWN else annotation
        accepted = allowing(annotation)
    adapter = _adapter(config_type(accepted))
    return _Rule(annotation, adapter, default, words=is_flag and adapter is None)


def _adapter(kind: Any) -> TypeAdapter[Any] | None:  # noqa: ANN401
    """Return what validates a type, None where anything goes."""
    if kind is UNKNOWN:
        return None
    try:
        return TypeAdapter(kind, config=CONFIG)
    except (PydanticUserError, TypeError):  # metadata of a user's that pydantic does not know
        return None


def _checked(rule: _Rule, value: Any) -> Any:  # noqa: ANN401
    """Return a value as an argument takes it.

    Raises:
        _UnfitError: It does not fit.
    """
    if type(value) is type(rule.default) and value == rule.default:
        return value
    if rule.adapter is None:
        return as_flag(value) if rule.words and isinstance(value, str) else value
    try:
        return rule.adapter.validate_python(value)
    except ValidationError as error:
        expected = in_words(rule.annotation)
        if not _has_non_finite(value):
            expected = expected.replace("finite ", "")
        advice = _quotes(rule.annotation, value)
        raise _UnfitError(f"expected {expected}, got {reprlib.repr(value)}.{advice}") from error


def allowing(annotation: Any) -> Any:  # noqa: ANN401
    """Return an annotation of a library with what its authors leave out.

    >>> allowing(int)
    int | float | None
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is UNKNOWN:
        return annotation
    if origin is tuple and len(arguments) == 1:
        return tuple[arguments[0], ...] | None  # type: ignore[valid-type]
    if annotation is int:
        return int | float | None
    if origin in (Union, UnionType):
        return Union[tuple(allowing(member) for member in arguments)]  # noqa: UP007
    return Union[annotation, None]  # noqa: UP007


def _has_non_finite(value: Any) -> bool:  # noqa: ANN401
    """Return whether there is a NaN or an infinity in a value."""
    if isinstance(value, (list, tuple)):
        return any(_has_non_finite(item) for item in value)
    return isinstance(value, float) and not math.isfinite(value)


def _quotes(annotation: Any, value: Any) -> str:  # noqa: ANN401
    """Return advice where a name was read as a number or a truth value."""
    texts = {str, Path} & {annotation, *get_args(annotation)}
    if not texts or not isinstance(value, (bool, int, float)):
        return ""
    return f" If it is a name, write it in quotes: '{value}'."
