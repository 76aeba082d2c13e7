"""The index of component names, read from source files without importing anything.

The index finds ``@DATASETS.register_module()`` over our classes, and the modules of libraries in
``OPTIMIZERS.add_upstream(torch.optim, ...)``. If the sources are ambiguous, every name counts as
known. The registries use the index to import only the module that a name needs.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[1]
PARENTS = {
    "MODELS": ("mmpretrain.models", "mmengine.model", "mmcv.cnn"),
    "LOSSES": ("mmpretrain.models.losses",),
}
"""Packages whose registered classes a registry takes over."""

KIND = re.compile(r'^([A-Z_]+)(?:: \w+)? = ComponentRegistry\(\s*"([^"]+)"', re.MULTILINE)
REGISTERED = re.compile(
    r"^[ \t]*@(\w+)\.register_module\(([^)]*)\)\s*?\n(?:[ \t]*@.*\n)*[ \t]*(?:class|def)\s+(\w+)",
    re.MULTILINE,
)
CALLED = re.compile(r"(?<!`)(?<!`@)\b(\w+)\.register_module\(")
ASSIGNED = re.compile(r"([A-Z_]+)\.upstream\[")
UPSTREAM = re.compile(r"(?<!`)\b(\w+)\.add_upstream\(\s*([\w.]+)\s*(.)")
DEFINED = re.compile(r"^(?:class|def) ([A-Za-z]\w*)", re.MULTILINE)
STAR = re.compile(r"^from (\S+) import \*", re.MULTILINE)

Definition = ast.ClassDef | ast.FunctionDef


class Signature(NamedTuple):
    """The arguments of a component.

    Attributes:
        annotations: Annotations as they are written, by argument; "" for none.
        complete: Whether the sources show that no other argument is accepted.
    """

    annotations: dict[str, str]
    complete: bool


class NameIndex:
    """The components that the sources of a package register.

    Args:
        package: The package's folder.

    Attributes:
        kinds: What each registry holds, in words, by the name of its variable.
    """

    def __init__(self, package: Path = PACKAGE) -> None:
        self.package = package
        self.kinds: dict[str, str] = {}
        self._own: dict[str, dict[str, tuple[str, Path]]] = {}
        self._upstream: dict[str, list[str]] = {}
        self._ambiguous: set[str] = set()
        for path in sorted(package.rglob("*.py")):
            text = path.read_text(encoding="utf-8", errors="replace")
            if "register_module(" in text or "upstream" in text or "ComponentRegistry(" in text:
                self._read(text, path)

    def _read(self, text: str, path: Path) -> None:
        """Add the registries and components of one file."""
        self.kinds.update(KIND.findall(text))
        found = REGISTERED.findall(text)
        for registry, given, definition in found:
            names = re.findall(r"""["']([^"']+)["']""", given)
            if given.strip() and not names:
                self._mark_ambiguous(registry)  # a computed name
            for name in names or [definition]:
                self._own.setdefault(registry, {})[name] = (definition, path)
        calls = CALLED.findall(text)
        for registry in set(calls):
            if calls.count(registry) > sum(name == registry for name, *_ in found):
                self._mark_ambiguous(registry)
        for registry in {*ASSIGNED.findall(text)} - set(PARENTS):
            self._mark_ambiguous(registry)
        for registry, module, end in UPSTREAM.findall(text):
            name = _imported_as(module, text) if end == "," else None
            if name and registry.isupper():
                self._upstream.setdefault(registry, []).append(name)
            else:
                self._mark_ambiguous(registry)

    def _mark_ambiguous(self, registry: str) -> None:
        """Mark a registry as ambiguous; a variable may be any registry."""
        self._ambiguous.add(registry if registry.isupper() else "*")

    def knows(self, registry: str, name: str) -> bool:
        """Return whether a registry may hold a component of that name.

        Args:
            registry: The registry's variable, e.g. ``"OPTIMIZERS"``.
            name: A config's ``type``. A dotted path always counts as known.
        """
        if "." in name or name in self._own.get(registry, {}) or self._is_ambiguous(registry):
            return True
        word = re.compile(rf"\b{re.escape(name)}\b")
        modules = (*self._upstream.get(registry, ()), *PARENTS.get(registry, ()))
        return any(word.search(text) for module in modules for text in _texts(module))

    def names(self, registry: str) -> frozenset[str]:
        """Return the names that a registry holds, for suggestions: ours and upstream's."""
        own = self._own.get(registry, {})
        upstream = (
            name
            for module in self._upstream.get(registry, ())
            for text in _texts(module)
            for name in DEFINED.findall(text)
        )
        parents = (
            name
            for module in PARENTS.get(registry, ())
            for text in _texts(module)
            for *_, name in REGISTERED.findall(text)
        )
        return frozenset([*own, *upstream, *parents])

    def own(self, registry: str) -> list[str]:
        """Return the names of our own components in a registry, sorted."""
        return sorted(self._own.get(registry, {}))

    def modules(self, name: str) -> list[str]:
        """Return the modules of ours that register a component called `name`."""
        paths = {own[name][1] for own in self._own.values() if name in own}
        top = self.package.parent
        return sorted(".".join(path.relative_to(top).with_suffix("").parts) for path in paths)

    def signature(self, registry: str, name: str) -> Signature | None:
        """Return the arguments of a component of ours, None for other components."""
        definition, path = self._own.get(registry, {}).get(name, ("", self.package))
        found = self._find(definition, path) if definition else None
        if found is None:
            return None
        node, path = found
        if isinstance(node, ast.FunctionDef):
            own = _function_signature(node)
        else:
            own = self._class_signature(node, path)
        return Signature(own.annotations, own.complete and len(node.decorator_list) == 1)

    def _class_signature(self, node: ast.ClassDef, path: Path) -> Signature:
        """Return the arguments of a class; those that it passes on are its bases'."""
        methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
        bases = self._base_signature(node, path)
        if "__init__" in methods:
            own = _function_signature(methods["__init__"])
            found = {**bases.annotations, **own.annotations} if not own.complete else own[0]
            found.pop("self", None)
            return Signature(found, own.complete and "__new__" not in methods)
        closed = bases.complete and not node.keywords and "__new__" not in methods
        return Signature(bases.annotations, closed)

    def _base_signature(self, node: ast.ClassDef, path: Path) -> Signature:
        """Return the arguments of a class's bases."""
        merged: dict[str, str] = {}
        complete = len(node.bases) < 2  # noqa: PLR2004
        for base in node.bases:
            found = self._find(base.id, path) if isinstance(base, ast.Name) else None
            if found is None or not isinstance(found[0], ast.ClassDef):
                complete = False
                continue
            inherited = self._class_signature(found[0], found[1])
            merged |= inherited.annotations
            complete = complete and inherited.complete and not found[0].decorator_list
        return Signature(merged, complete)

    def _find(self, name: str, path: Path) -> tuple[Definition, Path] | None:
        """Return the class or function of ours that `name` is in one of our files, and its file."""
        tree = parse_file(path) or ast.Module([], [])
        for node in statements(tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
                return node, path
            if isinstance(node, ast.ImportFrom) and node.module:
                top, *rest = node.module.split(".")
                other = self.package.joinpath(*rest).with_suffix(".py")
                for alias in node.names:
                    if (alias.asname or alias.name) == name and top == self.package.name:
                        return self._find(alias.name, other) if other.is_file() else None
        return None

    def _is_ambiguous(self, registry: str) -> bool:
        """Return whether the sources are ambiguous about the names of a registry."""
        modules = (*self._upstream.get(registry, ()), *PARENTS.get(registry, ()))
        unread = registry not in self.kinds or not all(map(_is_readable, modules))
        return unread or bool({registry, "*"} & self._ambiguous)


@cache
def name_index() -> NameIndex:
    """Return the index of this package, read once."""
    return NameIndex()


def _function_signature(node: ast.FunctionDef) -> Signature:
    """Return the arguments of a function."""
    arguments = [*node.args.args, *node.args.kwonlyargs]
    found = {a.arg: ast.unparse(a.annotation) if a.annotation else "" for a in arguments}
    wrapped = node.name == "__init__" and bool(node.decorator_list)
    return Signature(found, node.args.kwarg is None and not wrapped)


def _imported_as(name: str, text: str) -> str | None:
    """Return the module that a file imports as `name`, None if its imports do not show it."""
    first, _, rest = name.partition(".")
    as_alias = re.search(rf"^import ([\w.]+) as {first}$", text, re.MULTILINE)
    if as_alias:
        return f"{as_alias[1]}.{rest}".rstrip(".")
    if re.search(rf"^import {first}(?:\.[\w.]+)?$", text, re.MULTILINE):
        return name
    for parent, names in re.findall(r"^from ([\w.]+) import ([^#\n(]+)", text, re.MULTILINE):
        for part in names.split(","):
            original, _, alias = part.strip().partition(" as ")
            if (alias or original).strip() == first:
                return f"{parent}.{original}.{rest}".rstrip(".")
    return None


def package_folder(package: str) -> Path | None:
    """Return the folder of an installed package, importing nothing.

    Args:
        package: Dotted name; only its first part is looked up among the installed packages.
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


@cache
def _files(module: str) -> tuple[Path, ...]:
    """Return the source files of an installed module or package, its own first; () for none."""
    folder = package_folder(module)
    if folder is not None:
        own = folder / "__init__.py"
        return (own, *sorted(set(folder.rglob("*.py")) - {own})) if own.is_file() else ()
    parent, _, name = module.rpartition(".")
    above = package_folder(parent) if parent else None
    file = above / f"{name}.py" if above else None
    return (file,) if file and file.is_file() else ()


def _texts(module: str) -> Iterator[str]:
    """Yield the source texts of an installed module."""
    for path in _files(module):
        yield path.read_text(encoding="utf-8", errors="replace")


def _is_readable(module: str) -> bool:
    """Return whether a module's sources show its names: no star-import from another package."""
    own = next(_texts(module), None)
    return own is not None and all(star.startswith((".", module)) for star in STAR.findall(own))


def parse_file(path: Path) -> ast.Module | None:
    """Return a file's syntax tree, or None if it is not Python of this version."""
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield a module's statements, including those in ``if``, ``try`` and ``with``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.expr)):
            yield from statements(node)
