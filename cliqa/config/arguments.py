"""Arguments of components: which ones a class or function takes, and whether values fit them.

pydantic validates values against annotations:

* Annotations of this package and of a user's own components count in full.
* Annotations of torch, torchvision and Avalanche count with allowances for what they omit: None is
  always accepted, a number where an integer is expected, and tuples of one item in any length.
* Annotations of the mmlab packages do not count (they often contradict the docstrings); only words
  for True and False are converted.

A default is always accepted. An annotation that cannot be read accepts anything.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from cliqa.config.annotations import (
    UNKNOWN,
    Annotation,
    as_flag,
    config_type,
    lenient,
    mismatch,
    resolve,
)
from cliqa.config.suggest import closest
from cliqa.utils.errors import ConfigError

Component = Callable[..., Any]
"""A class or a function that a config names."""

TAKES_NOTHING = frozenset({"builtins.object", "torch.nn.modules.module.Module"})
"""Base classes whose constructors accept no argument, despite their signatures."""

LENIENT = ("torch", "torchvision", "avalanche")
"""Packages whose annotations count with allowances."""

UNTYPED = ("mmpretrain", "mmengine", "mmcv", "builtins", "logging")
"""Packages whose annotations do not count."""

WRONG = frozenset({("torchvision.transforms.v2._augment", "value")})
"""(module, argument) of annotations that contradict their documentation."""

CONFIG = ConfigDict(arbitrary_types_allowed=True)
WORDS_ALONE: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        Any, BeforeValidator(lambda value: as_flag(value) if isinstance(value, str) else value)
    ]
)
"""Accepts anything, and converts words for True and False."""


class Argument(NamedTuple):
    """An argument of a component.

    Attributes:
        annotation: Its resolved annotation; `UNKNOWN` if that cannot be read.
        default: Its default, ``inspect.Parameter.empty`` for none.
        module: The module of the function that takes it.
    """

    annotation: Any
    default: Any
    module: str


def parameters_of(component: Component) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the arguments that a component takes by name, and whether it accepts any other name.

    ``**kwargs`` that a constructor only passes to its base class mean the arguments of the base, as
    in Avalanche's strategies. With another use of them any name is accepted.
    """
    found: dict[str, inspect.Parameter] = {}
    takes_any = True
    for _, own, open_ended in _signatures(component):
        found = {**own, **found}
        takes_any = open_ended
    return found, takes_any


def arguments_of(component: Component) -> dict[str, Argument]:
    """Return the arguments of `parameters_of` with their annotations resolved."""
    found: dict[str, Argument] = {}
    for function, own, _ in _signatures(component):
        function = inspect.unwrap(function)
        names = getattr(function, "__globals__", {})
        module = getattr(function, "__module__", None) or ""
        for name, parameter in own.items():
            note = parameter.annotation
            known = UNKNOWN if note is inspect.Parameter.empty else resolve(note, names)
            found.setdefault(name, Argument(known, parameter.default, module))
    return found


def _signatures(
    component: Component,
) -> Iterator[tuple[Component, dict[str, inspect.Parameter], bool]]:
    """Yield the functions that take a component's arguments, subclasses first.

    Yields:
        The function, its own named parameters, and whether it accepts any other name.
    """
    if not inspect.isclass(component):
        yield component, *_named_parameters(component)
        return
    for owner in inspect.getmro(component):
        constructor = vars(owner).get("__init__")
        if constructor is None:
            continue
        if f"{owner.__module__}.{owner.__qualname__}" in TAKES_NOTHING:
            yield constructor, {}, False
            return
        own, open_ended = _named_parameters(constructor, skip=1)
        yield constructor, own, open_ended
        if not open_ended or not _passes_keywords_up(constructor):
            return


def _passes_keywords_up(constructor: Component) -> bool:
    """Return whether a constructor only passes its ``**kwargs`` to ``__init__``."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(constructor)))
    except (OSError, TypeError, SyntaxError):
        return False
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef) or definition.args.kwarg is None:
        return False
    keywords = definition.args.kwarg.arg
    nodes = list(ast.walk(definition))
    uses = [node for node in nodes if isinstance(node, ast.Name) and node.id == keywords]
    passed = [
        keyword.value
        for node in nodes
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "__init__"
        for keyword in node.keywords
        if keyword.arg is None and keyword.value in uses
    ]
    return len(passed) == len(uses) > 0


def _named_parameters(
    function: Component, skip: int = 0
) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the nameable parameters after the first `skip`, and whether there is ``**kwargs``."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except ValueError:  # a constructor written in C without a signature
        return {}, True
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = {p.name: p for p in parameters if p.kind in kinds}
    return named, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def describe(parameters: Mapping[str, inspect.Parameter], hidden: Collection[str]) -> str:
    """Return parameters as a user would write them: ``margin: float = 0.05``."""
    shown = [_as_written(p) for name, p in parameters.items() if name not in hidden]
    return ", ".join(shown) or "no argument"


def _as_written(parameter: inspect.Parameter) -> str:
    """Return a parameter as in its source; annotations that are strings without quotes."""
    note, default = parameter.annotation, parameter.default
    text = parameter.name
    if note is not inspect.Parameter.empty:
        text += f": {note if isinstance(note, str) else inspect.formatannotation(note)}"
    if default is not inspect.Parameter.empty:
        text += f" = {default!r}"
    return text


def checked_arguments(
    component: Component, given: Mapping[str, Any], before: str
) -> dict[str, Any]:
    """Return the values of arguments, checked and converted by the annotations.

    Args:
        component: A class or a function.
        given: Its arguments by name; unknown names are not checked.
        before: The text before the argument's name in an error message.

    Returns:
        The arguments in their order: words for True and False as truth values, lists as tuples for
        tuple annotations, names as members of an enumeration.

    Raises:
        ConfigError: With one line for each value that does not fit its annotation.
    """
    rules = _rules(component)
    mistakes, found = [], dict(given)
    for name, value in given.items():
        rule = rules.get(name)
        if rule is None or (type(value) is type(rule.default) and value == rule.default):
            continue
        try:
            found[name] = rule.adapter.validate_python(value)
        except ValidationError:
            mistakes.append(f"{before}{name}: {mismatch(rule.annotation, value)}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return found


def check_argument_names(
    component: Component, given: Collection[str], provided: Collection[str], where: str
) -> None:
    """Refuse unknown and missing arguments of a component.

    Args:
        component: A class or a function.
        given: The names of the arguments that a config gives.
        provided: Arguments that the caller adds; they are not suggested.
        where: The start of the error message.

    Raises:
        ConfigError: An argument is unknown, or a required one is missing.
    """
    parameters, open_ended = parameters_of(component)
    shown = {name: p for name, p in parameters.items() if name not in provided}
    unknown = sorted(set(given) - set(parameters)) if not open_ended else []
    mistakes = [f"unexpected argument {name!r}.{closest(name, shown)}" for name in unknown]
    if not mistakes:
        needed = (n for n, p in shown.items() if p.default is inspect.Parameter.empty)
        mistakes = [f"missing argument '{name}'." for name in needed if name not in given]
    if mistakes:
        accepts = f"It accepts {describe(parameters, provided)}."
        raise ConfigError("\n".join(f"{where}: {m}" for m in mistakes) + f" {accepts}")


class _Rule(NamedTuple):
    """The accepted values of an argument.

    Attributes:
        annotation: Its annotation, for messages.
        adapter: Validates and converts.
        default: Always accepted.
    """

    annotation: Any
    adapter: TypeAdapter[Any]
    default: Any


@cache
def _rules(component: Component) -> dict[str, _Rule]:
    """Return the rules of a component's arguments by name, without those that accept anything."""
    rules = {}
    for name, (annotation, default, module) in arguments_of(component).items():
        package = module.partition(".")[0]
        is_flag = annotation is bool or isinstance(default, bool)
        counts = package not in UNTYPED and (module, name) not in WRONG
        if package in LENIENT and is_flag and annotation is UNKNOWN:
            annotation = bool
        accepted = lenient(annotation) if package in LENIENT else annotation
        adapter = _adapter(config_type(accepted)) if counts else None
        if adapter is None and is_flag:
            adapter = WORDS_ALONE
        if adapter is not None:
            rules[name] = _Rule(annotation, adapter, default)
    return rules


def _adapter(kind: Annotation) -> TypeAdapter[Any] | None:
    """Return the validator of a type, None to accept anything."""
    if kind is UNKNOWN:
        return None
    try:
        return TypeAdapter(kind, config=CONFIG)
    except (PydanticUserError, TypeError):  # a user's metadata that pydantic does not know
        return None
