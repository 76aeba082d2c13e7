"""The files that a config consists of, read and analysed before any of them runs."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cliqa.config.suggest import closest
from cliqa.config.text import BASE, check_style, read_config_text
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import home_path

ENVIRONMENT = re.compile(r"\{\{['\"]?\s*\$(\w+)\s*:\s*(\S*?)\s*['\"]?\}\}")
BASE_VALUE = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")
SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


@dataclass(frozen=True)
class ConfigFile:
    """One file of a config, and the files it inherits from.

    Args:
        path: The file, as a user would write it.
        tree: Its syntax tree, placeholders such as ``{{ fileDirname }}`` replaced.
        bases: The files that its ``_base_`` names, in that order.
        external: Whether a base lies in another package (``mmpretrain::...``), unread here.
    """

    path: Path
    tree: ast.Module
    bases: tuple[ConfigFile, ...] = ()
    external: bool = False

    def chain(self) -> Iterator[ConfigFile]:
        """Yield this file and every file below it."""
        yield self
        for base in self.bases:
            yield from base.chain()

    @cached_property
    def assigned(self) -> dict[str, int]:
        """The names that the file itself sets at its top level, with the line of the first time."""
        found: dict[str, int] = {}
        for node in _top_level(self.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.setdefault(node.id, node.lineno)
        return found

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that the file or a base of it sets."""
        return frozenset(name for file in self.chain() for name in file.assigned)

    @cached_property
    def used(self) -> frozenset[str]:
        """The names that the file reads."""
        nodes = ast.walk(self.tree)
        return frozenset(
            node.id
            for node in nodes
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        )

    @cached_property
    def used_of_bases(self) -> dict[str, int]:
        """The names that the file reads as ``_base_.name``, with the line."""
        return {
            node.attr: node.lineno
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Attribute) and _is_base(node.value)
        }


def read_chain(path: str | Path, children: tuple[Path, ...] = ()) -> ConfigFile:
    """Read a config file and all that it inherits from, without running them.

    Args:
        path: The file.
        children: The files on the way to it, outermost first.

    Raises:
        ConfigError: A file is missing, no Python file, not UTF-8, has a syntax error, inherits from
            itself, or uses a placeholder in a way that would yield garbage.
    """
    path = home_path(path)
    text = read_config_text(path, children[-1] if children else None)
    if os.path.realpath(path) in map(os.path.realpath, children):
        raise ConfigError(f"{_route((*children, path))}: the config inherits from itself.")
    text = _substitute(text, path)
    tree = _parse(text, path)
    check_style(tree, path)
    _check_placeholders(text, tree, path)
    names = _base_names(tree, path)
    file = ConfigFile(
        path,
        tree,
        tuple(
            read_chain(os.path.normpath(path.parent / name), (*children, path))
            for name in names
            if "::" not in name
        ),
        external=any("::" in name for name in names),
    )
    _check_base_references(file)
    return file


def _route(files: tuple[Path, ...]) -> str:
    """Return files as a route: ``a.py -> b.py``."""
    return " -> ".join(str(file) for file in files)


def _substitute(text: str, path: Path) -> str:
    """Replace what mmengine replaces before it runs a file: the file's names, and environment."""
    full = Path(os.path.abspath(path))
    known = {
        "fileDirname": full.parent.as_posix(),
        "fileBasename": full.name,
        "fileBasenameNoExtension": full.stem,
        "fileExtname": full.suffix,
    }
    for name, value in known.items():
        text = re.sub(r"\{\{\s*" + name + r"\s*\}\}", value.replace("\\", r"\\"), text)

    def of_environment(match: re.Match[str]) -> str:
        name, default = match.groups()
        value = os.environ.get(name, default)
        if not value:
            line = text[: match.start()].count("\n") + 1
            raise ConfigError(
                f"{path}, line {line}: the environment variable {name} is not set. Set it, or give "
                f"a default: {{{{${name}:default}}}}."
            )
        return value

    return ENVIRONMENT.sub(of_environment, text)


def _parse(text: str, path: Path) -> ast.Module:
    """Return a config file's syntax tree."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        source = (error.text or "").strip()
        raise ConfigError(
            f"{path}, line {error.lineno}: {error.msg}{f': {source}' if source else ''}"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"{path}: not Python ({error}).") from error


def _check_placeholders(text: str, tree: ast.Module, path: Path) -> None:
    """Refuse ``{{_base_.x}}`` inside an expression or a string, where mmengine yields garbage."""
    if not BASE_VALUE.search(text):
        return
    whole = {id(value) for node in ast.walk(tree) for value in _whole_values(node)}
    placeholders = (ast.Set, ast.Constant, ast.JoinedStr)
    for node in ast.walk(tree):
        if not isinstance(node, placeholders) or id(node) in whole:
            continue
        match = BASE_VALUE.search(ast.get_source_segment(text, node) or "")
        if match:
            name = f"_base_.{match[1]}"
            raise ConfigError(
                f"{path}, line {node.lineno}: {match[0]} stands for a whole value only. Inside an "
                f"expression write {name}, for example {name} * 2 or f'{{{name}}}/x'."
            )


def _whole_values(node: ast.AST) -> list[ast.expr]:
    """Return the parts of `node` that are values of a config by themselves (or a docstring)."""
    if isinstance(node, (ast.Assign, ast.Expr)):
        values: list[ast.expr] = [node.value]
    elif isinstance(node, ast.keyword):
        values = [node.value] if node.arg else []
    elif isinstance(node, ast.Dict):
        values = node.values
    elif isinstance(node, (ast.List, ast.Tuple)):
        values = node.elts
    else:
        values = []
    if isinstance(node, ast.Expr):
        return values
    return [value for value in values if isinstance(value, ast.Set)]


def _base_names(tree: ast.Module, path: Path) -> list[str]:
    """Return what ``_base_`` names, as mmengine reads it: the file's first assignment."""
    found = [
        node
        for node in _top_level(tree)
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign))
        and any(
            isinstance(target, ast.Name) and target.id == BASE
            for target in getattr(node, "targets", [getattr(node, "target", None)])
        )
    ]
    if not found:
        return []
    where = f"{path}, line {found[-1].lineno}"
    first = found[0]
    if len(found) > 1 or not isinstance(first, ast.Assign) or first not in tree.body:
        raise ConfigError(f"{where}: set {BASE} once, at the top level: {BASE} = ['...', '...'].")
    try:
        code = compile(ast.Expression(first.value), str(path), "eval")
        names = eval(code)  # mmengine evaluates it too: a config is code
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever the expression raises
        raise ConfigError(f"{where}: {BASE} cannot be evaluated ({error}).") from error
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{where}: {BASE} must be a path or a list of paths, got {names!r}.")
    return names


def _check_base_references(file: ConfigFile) -> None:
    """Refuse ``_base_.name`` where no base sets that name."""
    if file.external:
        return
    known = {name for base in file.bases for name in base.names}
    for name, line in file.used_of_bases.items():
        if name not in known and not hasattr(dict, name):
            raise ConfigError(
                f"{file.path}, line {line}: no base sets '{name}'.{closest(name, known)}"
            )


def _is_base(node: ast.expr) -> bool:
    """Return whether an expression is the name ``_base_``."""
    return isinstance(node, ast.Name) and node.id == BASE


def _top_level(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a file that do not lie in a function, class or comprehension."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, SCOPES):
            yield node
            yield from _top_level(node)
