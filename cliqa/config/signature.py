"""The arguments that a class or a function takes by name."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from cliqa.config.annotations import UNKNOWN, resolve

TAKES_NOTHING = frozenset({"builtins.object", "torch.nn.modules.module.Module"})
"""Root classes whose constructors accept no argument, whatever their signatures say."""


class Argument(NamedTuple):
    """An argument of a component.

    Attributes:
        annotation: What it is annotated with, resolved; `UNKNOWN` where that cannot be read.
        default: Its default, ``inspect.Parameter.empty`` for none.
        module: Where the function that takes it was written.
    """

    annotation: Any
    default: Any
    module: str


def parameters_of(component: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the arguments that a component takes by name, and whether it takes any name at all.

    ``**kwargs`` of a constructor are followed up the classes it inherits from where it passes them
    on, as Avalanche's strategies do. Where it does something else with them, any name goes.
    """
    found: dict[str, inspect.Parameter] = {}
    takes_any = True
    for _, own, open_ended in _signatures(component):
        found = {**own, **found}
        takes_any = open_ended
    return found, takes_any


def arguments_of(component: Callable[..., Any]) -> dict[str, Argument]:
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
    component: Callable[..., Any],
) -> Iterator[tuple[Callable[..., Any], dict[str, inspect.Parameter], bool]]:
    """Yield the functions that take a component's arguments, the nearest first.

    Yields:
        The function, its own named parameters, and whether any other name goes from there on.
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


def _passes_keywords_up(constructor: Callable[..., Any]) -> bool:
    """Return whether a constructor hands its ``**kwargs`` to ``__init__`` and does nothing else."""
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
    function: Callable[..., Any], skip: int = 0
) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the nameable parameters after the first `skip`, and whether there is ``**kwargs``."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except ValueError:  # a constructor written in C need not tell its signature
        return {}, True
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = {p.name: p for p in parameters if p.kind in kinds}
    return named, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def describe(parameters: Mapping[str, inspect.Parameter], hidden: Iterable[str]) -> str:
    """Return parameters as a user would write them: ``margin: float = 0.05``."""
    shown = [_written(p) for name, p in parameters.items() if name not in set(hidden)]
    return ", ".join(shown) or "no argument"


def _written(parameter: inspect.Parameter) -> str:
    """Return a parameter as its author wrote it: annotations that are strings without quotes."""
    note, default = parameter.annotation, parameter.default
    text = parameter.name
    if note is not inspect.Parameter.empty:
        text += f": {note if isinstance(note, str) else inspect.formatannotation(note)}"
    if default is not inspect.Parameter.empty:
        text += f" = {default!r}"
    return text
