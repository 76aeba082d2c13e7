"""The arguments that a class or a function takes by name."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

TAKES_NOTHING = frozenset({"builtins.object", "torch.nn.modules.module.Module"})
"""Root classes whose constructors accept no argument, whatever their signatures say."""


def parameters_of(component: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the arguments that a component takes by name, and whether it takes any name at all.

    ``**kwargs`` of a constructor are followed up the classes it inherits from where it passes them
    on, as Avalanche's strategies do. Where it does something else with them, any name goes.
    """
    if not inspect.isclass(component):
        return _named_parameters(component)
    found: dict[str, inspect.Parameter] = {}
    for owner in inspect.getmro(component):
        if "__init__" not in vars(owner):
            continue
        if f"{owner.__module__}.{owner.__qualname__}" in TAKES_NOTHING:
            return found, False
        own, open_ended = _named_parameters(vars(owner)["__init__"], skip=1)
        found = {**own, **found}
        if not open_ended or not _passes_keywords_up(vars(owner)["__init__"]):
            return found, open_ended
    return found, True


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
