"""An installed module's public names, read from its files instead of importing it."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def package_folder(package: str) -> Path | None:
    """Return the folder of an installed package, without importing anything but its parents.

    Args:
        package: Dotted name; of its parts only the first is looked up among installed packages.
    """
    first, *rest = package.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)), *rest)
    return folder if folder.is_dir() else None


def public_names(module: str) -> frozenset[str] | None:
    """Return the names without a leading underscore that a module defines or imports.

    It is a superset of what importing the module would show: names that are deleted again or
    depend on a condition are in it.

    Args:
        module: Dotted name, e.g. ``"torch.optim"``.

    Returns:
        The names; None where the files do not tell (not installed, compiled, unreadable).
    """
    return _names(module, frozenset())


@cache
def _names(module: str, above: frozenset[str]) -> frozenset[str] | None:
    """Return a module's public names; `above` are the modules that star-import it."""
    found = _source(module)
    if found is None:
        return None
    tree, is_package = found
    names: set[str] = set()
    for node in statements(tree):
        for star in _star_imports(node, module, is_package):
            inner = frozenset() if star in above else _names(star, above | {module})
            if inner is None:
                return None
            names |= inner
        names |= _bound(node)
    return frozenset(name for name in names if not name.startswith(("_", "*")))


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield a module's statements, those in ``if``, ``try`` and ``with`` too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.expr)):
            yield from statements(node)


def _source(module: str) -> tuple[ast.Module, bool] | None:
    """Return a module's tree, and whether it is a package."""
    parent, _, name = module.rpartition(".")
    folder = package_folder(module)
    above = package_folder(parent) if parent else None
    file = folder / "__init__.py" if folder else above / f"{name}.py" if above else None
    tree = parse_file(file) if file else None
    return None if tree is None else (tree, folder is not None)


def parse_file(path: Path) -> ast.Module | None:
    """Return a file's syntax tree, or None where it is no Python of this version."""
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _star_imports(node: ast.stmt, module: str, is_package: bool) -> Iterator[str]:
    """Yield the modules that a statement imports all names of."""
    if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
        parts = module.split(".")
        base = parts[: len(parts) - node.level + is_package] if node.level else []
        yield ".".join([*base, *([node.module] if node.module else [])])


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement binds."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.Delete):
        return set()
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    return {
        name.id
        for target in targets
        if target is not None
        for name in ast.walk(target)
        if isinstance(name, ast.Name)
    }
