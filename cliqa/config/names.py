"""The top-level names of config files: sections, variables of the author, and slips."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from cliqa.config.inheritance import BASE, ConfigFile
from cliqa.config.sections import ELSEWHERE, SECTIONS
from cliqa.config.suggest import nearest
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

DATA = (str, int, float, dict, list, tuple, type(None))
PIPELINES = frozenset({"train_pipeline", "test_pipeline"})
SIMILAR = 0.75
"""From here on (difflib's ratio) a name that nothing uses is taken for a misspelt section."""


def check_names(values: Mapping[str, Any], file: ConfigFile) -> None:
    """Refuse top-level names that were meant to be sections, and variables that change nothing.

    A name that is no section may be a variable of the author (``batch_size = 64``): it passes where
    some file of the chain reads it, or where it looks like no section.

    Args:
        values: What the files have set, by name.
        file: The config file with its bases.

    Raises:
        ConfigError: A name is a misspelt or unknown section, or is set again after it was used.
    """
    used = {name for part in file.chain() for name in {*part.used, *part.used_of_bases}}
    for part in file.chain():
        for name in part.assigned:
            if name.startswith("__") and nearest(name, [BASE], SIMILAR):  # mmengine drops these
                raise ConfigError(f"{_place(name, file)}: unknown name. Did you mean '{BASE}'?")
    for name, value in values.items():
        if name not in SECTIONS and name not in used and isinstance(value, DATA):
            _check_unused(name, value, file)
    for child in file.chain():
        _check_overrides(child, file)


def _check_unused(name: str, value: Any, file: ConfigFile) -> None:  # noqa: ANN401
    """Refuse a name that nothing reads, if it can only be a mistake."""
    near = nearest(name, [*SECTIONS, BASE], SIMILAR)
    if name in ELSEWHERE:
        place = ELSEWHERE[name].format(name)
        raise ConfigError(f"{_place(name, file)}: '{name}' is no section; it belongs to {place}.")
    if near:
        raise ConfigError(f"{_place(name, file)}: unknown section. Did you mean '{near}'?")
    if _describes_components(value):
        raise ConfigError(
            f"{_place(name, file)}: unknown section, and nothing reads it. "
            f"Sections: {', '.join(SECTIONS)}."
        )
    if name in file.assigned:
        get_logger(__name__).warning("%s: no section, and nothing reads it.", _place(name, file))


def _place(name: str, file: ConfigFile) -> str:
    """Return where a name is set, for an error message."""
    for part in file.chain():
        if name in part.assigned:
            return f"{part.path}, line {part.assigned[name]}: {name}"
    return f"{file.path}: {name}"


def _describes_components(value: Any) -> bool:  # noqa: ANN401
    """Return whether there is a ``dict(type=...)`` in a value."""
    if isinstance(value, dict):
        return "type" in value or any(_describes_components(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_describes_components(item) for item in value)
    return False


def _check_overrides(child: ConfigFile, file: ConfigFile) -> None:
    """Refuse a variable that `child` sets again after a base of it has already used its own.

    Every file runs by itself, so ``batch_size = 32`` in a child changes nothing that a base
    computed from its own ``batch_size``.
    """
    below = [part for base in child.bases for part in base.chain()]
    heirs = [part for part in file.chain() if child in part.chain()]
    for name, line in child.assigned.items():
        if name in SECTIONS and name not in PIPELINES:
            continue
        first = next((part for part in below if name in part.assigned), None)
        users = [part for part in below if name in part.used or name in part.used_of_bases]
        effective = name in child.used or any(name in part.used_of_bases for part in heirs)
        if first and users and not effective:
            keys = sorted({key for part in users for key in _keys_reading(name, part.tree)})
            raise ConfigError(
                f"{child.path}, line {line}: {name} has no effect here: {users[0].path} has "
                f"already used the {name} of {first.path}, line {first.assigned[name]}. "
                f"Override what it went into: {', '.join(keys) or 'the keys it is used in'}."
            )


def _keys_reading(name: str, tree: ast.Module) -> Iterator[str]:
    """Yield the dotted keys whose values a file computes from `name`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield from _paths(name, node.value, node.targets[0].id)


def _paths(name: str, node: ast.AST, path: str) -> Iterator[str]:
    """Yield the key paths under `node` at which `name` is read."""
    if name in (getattr(node, "id", None), getattr(node, "attr", None)):  # name, _base_.name
        yield path
    elif isinstance(node, ast.keyword) and node.arg:
        yield from _paths(name, node.value, f"{path}.{node.arg}")
    elif isinstance(node, (ast.List, ast.Tuple)):
        for index, item in enumerate(node.elts):
            yield from _paths(name, item, f"{path}.{index}")
    else:
        for child in ast.iter_child_nodes(node):
            yield from _paths(name, child, path)
